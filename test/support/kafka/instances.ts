// Several instances of the same functions on a broker: who has which partitions, and what they count together of what a plain client sends.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Producer } from 'kafkajs'
import type { Test } from 'tap'
import { testFolder } from '../folder.js'
import { HostUnderTest } from '../host.js'
import { until } from '../until.js'
import { quietKafka } from './client.js'
import { ownName } from './shared.js'
import { sumSource } from './sum.js'

const byDefault = 'click-count'

export interface InstancesOptions {
  readonly address: string
  readonly partitions: number
  /** The one that is looked at. Default: the one that adds clicks up. */
  readonly function?: { readonly name: string; readonly source: string }
  readonly env?: Readonly<Record<string, string>>
  /** Where their folders are. Default: in one of the test's own. */
  readonly root?: string
}

export class Instances {
  readonly namespace: string
  readonly #t: Test
  readonly #root: string
  readonly #options: InstancesOptions
  readonly #hosts = new Map<string, HostUnderTest>()
  readonly #running = new Map<string, HostUnderTest>()

  constructor(t: Test, name: string, options: InstancesOptions) {
    this.#t = t
    this.#root = options.root ?? testFolder(t)
    this.#options = options
    this.namespace = `${ownName(name)}-`
  }

  get names(): readonly string[] {
    return [...this.#running.keys()]
  }

  /** The one of this name, with its own disk; running or not. */
  host(name: string): HostUnderTest {
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    const { address, partitions, env } = this.#options
    const { name: file, source } = this.#options.function ?? {
      name: byDefault,
      source: sumSource(),
    }
    const host = new HostUnderTest(join(this.#root, name), {
      functions: { [`${file}.ts`]: source },
      env: {
        MILLRACE_LOG_BROKERS: address,
        MILLRACE_NAMESPACE: this.namespace,
        MILLRACE_LOG_KAFKA_CLIENT_ID: `${this.namespace}${name}`,
        MILLRACE_LOG_PARTITIONS: String(partitions),
        ...env,
      },
    })
    this.#t.teardown(() => host.stop())
    this.#hosts.set(name, host)
    return host
  }

  async start(name: string): Promise<HostUnderTest> {
    const host = this.host(name)
    await host.start()
    this.#running.set(name, host)
    return host
  }

  async stop(name: string): Promise<void> {
    this.#running.delete(name)
    await this.host(name).stop()
  }

  /** Waits until each partition runs in exactly one of those that are there, and none of them waits for a sharing out; how many each has. */
  async shared(): Promise<Readonly<Record<string, number>>> {
    const all = Array.from({ length: this.#options.partitions }, (_, partition) => partition)
    let found: Record<string, readonly number[]> = {}
    await until(
      'each partition runs once',
      async () => {
        found = await this.#owned()
        const owned = Object.values(found).flat()
        return isDeepStrictEqual(
          owned.sort((a, b) => a - b),
          all,
        )
      },
      () => JSON.stringify(found),
    )
    return Object.fromEntries(
      Object.entries(found).map(([name, partitions]) => [name, partitions.length]),
    )
  }

  async #owned(): Promise<Record<string, readonly number[]>> {
    const found: Record<string, readonly number[]> = {}
    for (const [name, host] of this.#running) {
      const { state, partitions = [] } = (await host.status(this.#function)) ?? {}
      // What it still shows as its own while it joins may be another's next.
      if (state !== 'running') return {}
      found[name] = partitions
        .filter(({ state }) => state === 'running')
        .map(({ partition }) => partition)
    }
    return found
  }

  /** Waits until the tables, each key's read where it is served, are what was sent. */
  async counted(sent: ReadonlyMap<string, number>): Promise<void> {
    for (const [key, sum] of sent) {
      let found: unknown
      await until(
        `${key} is ${sum}`,
        async () => {
          found = (await this.served(key))?.value
          return found === sum
        },
        () => `it is ${found}`,
      )
    }
  }

  /** By the one that has its partition; undefined: nobody answers for it now. */
  async served(key: string): Promise<{ readonly value: unknown } | undefined> {
    for (const host of this.#running.values()) {
      const { status, body } = await host.get(`/views/${this.#function}/${key}`)
      if (status === 200) return { value: body }
    }
    return undefined
  }

  get #function(): string {
    return this.#options.function?.name ?? byDefault
  }
}

const paceMs = 2

/** Sends ones without pause, as another program would, and knows what was acknowledged for each key. */
export class Clicker {
  readonly sent = new Map<string, number>()
  readonly #producer: Producer
  readonly #topic: string
  readonly #keys: readonly string[]
  readonly #end = new AbortController()
  #running: Promise<void> = Promise.resolve()

  private constructor(producer: Producer, topic: string, keys: number) {
    this.#producer = producer
    this.#topic = topic
    this.#keys = Array.from({ length: keys }, (_, n) => `k${n}`)
  }

  /** The topic has to be there. */
  static async on(
    t: Test,
    address: string,
    { topic, keys }: { readonly topic: string; readonly keys: number },
  ): Promise<Clicker> {
    const producer = quietKafka(address).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const clicker = new Clicker(producer, topic, keys)
    t.teardown(async () => {
      await clicker.stop()
      await producer.disconnect()
    })
    clicker.#running = clicker.#run()
    return clicker
  }

  /** Resolves when so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const from = this.#total
    await until(`${count} more clicks are sent`, () => this.#total >= from + count)
  }

  async stop(): Promise<ReadonlyMap<string, number>> {
    this.#end.abort()
    await this.#running
    return this.sent
  }

  get #total(): number {
    return [...this.sent.values()].reduce((sum, count) => sum + count, 0)
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    const messages = this.#keys.map((key) => ({ key, value: '1' }))
    while (!signal.aborted) {
      await this.#producer.send({ topic: this.#topic, messages })
      for (const key of this.#keys) this.sent.set(key, (this.sent.get(key) ?? 0) + 1)
      await pause(paceMs, undefined, { signal }).catch(() => {})
    }
  }
}
