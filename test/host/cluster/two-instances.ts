// Two instances of one application on sockets of their own, in this process: who has which partition is moved by hand.
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Test } from 'tap'
import { Cluster } from '#host/cluster/cluster.js'
import { proveRequest, type RequestSaid, writeProof } from '#host/cluster/proof.js'
import { readCluster } from '#host/config-secrets.js'
import type { VisitOrder } from '#host/functions/operation.js'
import { listen } from '#host/http/serve.js'
import type { MemoryLog } from '#host/log/memory/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { VisitReport } from '#host/processor/visiting.js'
import { createFixture, type Fixture, partitions } from '../http/fixture.js'

export const secret = 'a-secret-of-the-cluster'

export interface Instance extends Fixture {
  readonly name: string
  readonly url: string
  /** Partitions that it serves from now on: it knows that of itself at once, of others when it is told. */
  owns(...owned: number[]): void
  stop(): Promise<void>
}

export interface InstanceOptions {
  readonly secret?: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly graceMs?: number
  /** That several share. */
  readonly log?: MemoryLog
  readonly visit?: (order: VisitOrder, instance: string) => Promise<VisitReport>
}

export const credentialOf = (text: string): string | undefined =>
  readCluster({ secretEnv: 'SECRET', timeoutMs: 1 }, { SECRET: text }).credential

/** What an instance that has the secret sends along. */
export const proofOf = (text: string, said: RequestSaid, body = ''): string =>
  writeProof(proveRequest(credentialOf(text) ?? '', said, body))

export async function startInstance(
  t: Test,
  name: string,
  {
    secret: own = secret,
    env = {},
    timeoutMs = 5000,
    graceMs = 1000,
    log,
    visit,
  }: InstanceOptions = {},
): Promise<Instance> {
  const admission = { credential: own === '' ? undefined : credentialOf(own), isOpen: own === '' }
  const cluster = new Cluster({
    instance: name,
    address: `http://${name}`,
    admission,
    timeoutMs,
    graceMs,
  })
  const fixture = createFixture(t, {
    cluster,
    env,
    ...(log === undefined ? {} : { log }),
    ...(visit === undefined ? {} : { visit: (order) => visit(order, name) }),
  })
  const listener = await listen(fixture.app, { host: '127.0.0.1', port: 0, graceMs: 0 })
  const stop = async () => await listener[Symbol.asyncDispose]()
  t.teardown(async () => {
    cluster[Symbol.dispose]()
    await stop()
  })
  return {
    ...fixture,
    name,
    url: listener.url,
    owns(...owned) {
      const { recovering, lost } = fixture.catalog
      for (const set of [recovering, lost]) set.clear()
      for (let partition = 0; partition < partitions; partition++) {
        if (!owned.includes(partition)) for (const set of [recovering, lost]) set.add(partition)
      }
      fixture.catalog.announce()
    },
    stop,
  }
}

export const partitionIn = (key: string): number =>
  partitionOf(Buffer.from(key), partitions, 'murmur2')

/** Of a key in that partition. */
export const keyIn = (partition: number): string =>
  Array.from({ length: 1000 }, (_, n) => `k${n}`).find((key) => partitionIn(key) === partition) ??
  ''

/** With a table `counts`: `one` has partitions 0 and 1, `two` the rest, and each knows it; each holds something of all. */
export async function startPair(
  t: Test,
  keys: readonly string[],
  stored: (key: string, isOwn: boolean) => string,
  options: InstanceOptions = {},
) {
  const one = await startInstance(t, 'one', options)
  const two = await startInstance(t, 'two', options)
  const shares: [Instance, number[]][] = [
    [one, [0, 1]],
    [two, [2, 3]],
  ]
  for (const [instance, owned] of shares) {
    const values = keys.map((key) => [key, stored(key, owned.includes(partitionIn(key)))])
    await instance.table('counts', { codec: 'json' }, Object.fromEntries(values))
    instance.owns(...owned)
    tell(instance, [one, 0, 1], [two, 2, 3])
  }
  return { one, two }
}

/** Tells the instance who has what. */
export function tell(
  instance: Instance,
  ...shares: readonly (readonly [owner: Pick<Instance, 'name' | 'url'>, ...owned: number[]])[]
): void {
  instance.catalog.peers = shares.map(([{ name, url }, ...owned]) => ({
    instance: name,
    address: url,
    partitions: owned,
    standbys: [],
  }))
  instance.catalog.announce()
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What a client gets of it, by the path as it is: fetch would take ".." for a step up. */
export async function got(path: string, of: Instance, { body, ...sent }: Sent = {}) {
  const { hostname, port } = new URL(of.url)
  const outgoing = request({ hostname, port, path, agent: false, ...sent })
  const [answer] = (await once(outgoing.end(body), 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(Buffer.from(chunk))
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: Buffer.concat(chunks).toString(),
  }
}
