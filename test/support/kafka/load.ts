// Emits to a host without pause, with an account of what was acknowledged, and what has to be counted because of it.
import { setTimeout as pause } from 'node:timers/promises'
import type { Brokers } from '#host/log/kafka/brokers.js'
import type { HostUnderTest } from '../host.js'
import { until } from '../until.js'
import { committedValues } from './committed.js'

/** A function with table, output and loop: counts clicks, and emits a page for each. */
export const clickCount = (of: {
  readonly click: string
  readonly page: string
  /** The arguments of the emit, in which the click is `click`. */
  readonly emitted: string
}): string => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<${of.click}>() },
  outputs: { pages: json<${of.page}>() },
  loop: json<number>(),
  table: json<{ count: number; looped: number }>(),
  on: {
    clicks(ctx, click) {
      const { count, looped } = ctx.get() ?? { count: 0, looped: 0 }
      ctx.set({ count: count + 1, looped })
      ctx.emit('pages', ${of.emitted})
      ctx.loopback(ctx.key, 1)
    },
  },
  onLoop(ctx, one) {
    const { count, looped } = ctx.get() ?? { count: 0, looped: 0 }
    ctx.set({ count, looped: looped + one })
  },
})`

/** That one, and one on its output. Each emit has a key of its own. */
export const countingFunctions = {
  'click-count.ts': clickCount({
    click: 'string',
    page: 'string',
    emitted: 'click.slice(-1), click',
  }),
  'page-count.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { pages: json<string>() },
  table: json<number>(),
  on: {
    pages(ctx) {
      ctx.set((ctx.get() ?? 0) + 1)
    },
  },
})`,
} as const

export interface LoadOptions {
  readonly host: HostUnderTest
  /** In front of each key, that others do not have. */
  readonly prefix?: string
}

const lanes = 4
const paceMs = 10
const batchLines = 5

export class Load {
  readonly acknowledged = new Set<string>()
  /** What is there wholly or not at all. */
  readonly doubtful: string[][] = []
  /** What unacknowledged emits were answered. */
  readonly answers = new Map<string, number>()
  readonly #host: HostUnderTest
  readonly #prefix: string
  readonly #end = new AbortController()
  readonly #running: Promise<unknown>
  #count = 0

  constructor({ host, prefix = 'e' }: LoadOptions) {
    this.#host = host
    this.#prefix = prefix
    this.#running = Promise.all(Array.from({ length: lanes }, (_, lane) => this.#emit(lane)))
  }

  /** Resolves when so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const from = this.acknowledged.size
    await until(
      `${count} more emits are acknowledged`,
      () => this.acknowledged.size >= from + count,
    )
  }

  /** Resolves when one was answered that it was not taken. */
  async refused(code: string): Promise<void> {
    const from = this.answers.get(code) ?? 0
    await until(`an emit is answered with ${code}`, () => (this.answers.get(code) ?? 0) > from)
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.#running
  }

  async #emit(lane: number): Promise<void> {
    const { signal } = this.#end
    for (let round = 0; !signal.aborted; round += 1) {
      const ids = Array.from({ length: round % 4 === lane ? batchLines : 1 }, () => {
        this.#count += 1
        return `${this.#prefix}${this.#count}`
      })
      const answer = await this.#post(ids)
      if (answer === 'acknowledged') for (const id of ids) this.acknowledged.add(id)
      else {
        this.doubtful.push(ids)
        this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
      }
      await pause(paceMs, undefined, { signal }).catch(() => {})
    }
  }

  async #post(ids: readonly string[]): Promise<string> {
    const [first = ''] = ids
    const isOne = ids.length === 1
    const path = isOne ? `/emitters/clicks/${first}` : '/emitters/clicks'
    const body = isOne
      ? JSON.stringify(first)
      : ids.map((id) => JSON.stringify({ key: id, value: id })).join('\n')
    const response = await fetch(this.#host.host.url + path, { method: 'POST', body })
    const answer: unknown = await response.json()
    if (response.status === 201) return 'acknowledged'
    return String(Object(Object(answer).error).code)
  }
}

/** What is not as it has to be: all of it empty if all was counted once. `loads` have ended; the host has all partitions, or will have them. */
export async function wrongCounts(
  loads: readonly Load[],
  host: HostUnderTest,
  brokers: Brokers,
  outputs: { readonly topic: string; readonly partitions: number },
): Promise<Record<string, readonly string[]>> {
  const counts = await until('all is counted', async () => {
    for (const name of ['click-count', 'page-count']) {
      const status = await host.status(name)
      if (status?.error !== null) return undefined
      if (status.state !== 'running' || status.lag !== 0) return undefined
      if (status.partitions.length < outputs.partitions) return undefined
    }
    return await tableOf(host, 'click-count')
  })
  const pages = (await tableOf(host, 'page-count')) ?? new Map<string, unknown>()
  const values: string[] = []
  for (let partition = 0; partition < outputs.partitions; partition += 1) {
    for (const value of await committedValues(brokers, outputs.topic, partition)) {
      values.push(JSON.parse(value))
    }
  }
  const sum = [...pages.values()].reduce((total: number, count) => total + Number(count), 0)
  const acknowledged = loads.flatMap((load) => [...load.acknowledged])
  const doubtful = loads.flatMap((load) => load.doubtful)
  const known = new Set([...acknowledged, ...doubtful.flat()])
  const isThere = (id: string) => counts.has(id)
  return {
    missing: acknowledged.filter((id) => !isThere(id)),
    'not once': [...counts]
      .filter(([, value]) => Object(value).count !== 1 || Object(value).looped !== 1)
      .map(([id, value]) => `${id} ${JSON.stringify(value)}`),
    torn: doubtful.filter((ids) => ids.some(isThere) && !ids.every(isThere)).flat(),
    'never emitted': [...counts.keys()].filter((id) => !known.has(id)),
    'not put out': [...counts.keys()].filter((id) => !values.includes(id)),
    'put out twice': values.filter((id, at) => values.indexOf(id) !== at),
    'put out for nothing': values.filter((id) => !isThere(id)),
    'otherwise counted': sum === counts.size ? [] : [`${sum} outputs of ${counts.size} emits`],
  }
}

/** Undefined while not all of it can be read. */
async function tableOf(
  { host }: HostUnderTest,
  table: string,
): Promise<Map<string, unknown> | undefined> {
  const response = await fetch(`${host.url}/views/${table}`, {
    headers: { accept: 'application/x-ndjson' },
  })
  if (response.status !== 200) return undefined
  const lines = (await response.text()).split('\n').filter((line) => line !== '')
  return new Map(
    lines.map((line): [string, unknown] => {
      const { key, value } = JSON.parse(line)
      return [key, value]
    }),
  )
}
