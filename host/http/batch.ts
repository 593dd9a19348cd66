// Values of many keys: from the tables here, or from the instances that have their partitions.
import { atOwners } from '../cluster/at-owners.js'
import type { Peer } from '../cluster/client.js'
import { viewPath } from '../cluster/paths.js'
import { refuseUnlessGood } from '../cluster/refusal.js'
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'
import { partitionOf } from '../log/partitioner.js'
import type { ClusteredDeps, HttpDeps } from './deps.js'
import { routedMs } from './key-read.js'
import { notServing, refuseMoved, refuseStale } from './serving.js'
import { toJsonTexts } from './shown.js'
import { checkKey } from './target.js'
import type { Wait } from './waiting.js'

export interface BatchKey {
  readonly name: string
  readonly bytes: Buffer
}

/** As JSON text; absent: the table has none. */
export type Texts = ReadonlyMap<string, string>

export interface BatchAsked {
  readonly keys: readonly BatchKey[]
  readonly isStaleOk: boolean
  /** As in `Asking`. */
  readonly isFromOwners: boolean
}

const partitionIn = ({ partitions, hasher }: TableEntry, { bytes }: BatchKey): number =>
  partitionOf(bytes, partitions, hasher)

function placedIn(table: TableEntry, keys: readonly BatchKey[]): Map<number, BatchKey[]> {
  const placed = new Map<number, BatchKey[]>()
  for (const key of keys) {
    const partition = partitionIn(table, key)
    const others = placed.get(partition)
    if (others === undefined) placed.set(partition, [key])
    else others.push(key)
  }
  return placed
}

/** From what this host has. Throws RECOVERING if any of it may not be shown. */
export async function textsHere(
  { gate }: Pick<HttpDeps, 'gate'>,
  table: TableEntry,
  { keys, isStaleOk }: Omit<BatchAsked, 'isFromOwners'>,
): Promise<Texts> {
  const reads = keys.map((key) => {
    const partition = partitionIn(table, key)
    if (!isStaleOk) refuseStale(table, partition)
    return table.view.get(partition, key.bytes)
  })
  const values = await Promise.all(reads.map(async (value) => await value))
  const found = keys.flatMap((key, index) => {
    const value = values[index]
    return value === undefined ? [] : [{ key, value }]
  })
  const texts = await toJsonTexts(
    table,
    found.map(({ value }) => value),
    gate,
  )
  if (!isStaleOk) for (const key of keys) refuseMoved(table, partitionIn(table, key))
  return new Map(found.map(({ key: { name } }, index) => [name, texts[index] ?? 'null']))
}

export interface Anywhere {
  readonly wait: Wait
  readonly signal: AbortSignal
  /** As it is now. */
  table(): TableEntry
}

/** Each owner is asked for its own keys. `isStale`: some are not from their owner. */
export async function textsAnywhere(
  deps: ClusteredDeps,
  { keys, isStaleOk, isFromOwners }: BatchAsked,
  { wait, signal, table }: Anywhere,
): Promise<{ readonly texts: Texts; readonly isStale: boolean }> {
  const { cluster } = deps
  const { name, function: keeper } = table()
  const placed = placedIn(table(), keys)
  const keysOf = (partitions: readonly number[]) =>
    partitions.flatMap((partition) => placed.get(partition) ?? [])
  const here = (current: TableEntry, partitions: readonly number[]) =>
    textsHere(deps, current, { keys: keysOf(partitions), isStaleOk })
  const there = async (owner: Peer, partitions: readonly number[], leftMs: number) => {
    const own = keysOf(partitions)
    const { status, body } = await cluster.client.ask(owner, {
      method: 'POST',
      path: `${viewPath(name)}${isStaleOk ? '?stale=ok' : ''}`,
      body: JSON.stringify({ keys: own.map((key) => key.name) }),
      timeoutMs: Math.min(leftMs, cluster.timeoutMs),
      signal,
    })
    refuseUnlessGood(owner, status, body)
    const told: (string | null)[] = JSON.parse(body.toString())
    return new Map(
      own.flatMap(({ name: key }, index): [string, string][] => {
        const text = told[index]
        return typeof text === 'string' ? [[key, text]] : []
      }),
    )
  }
  let isStale = false
  const leftovers = async (current: TableEntry, partitions: readonly number[]) => {
    isStale = true
    return await here(current, partitions)
  }
  const found = await atOwners<Texts>(
    {
      ...deps,
      function: keeper,
      isFromOwners,
      withinMs: routedMs(cluster),
      table,
      wait: (promise) => wait.for(promise),
    },
    [...placed.keys()],
    { here, there, nowhere: notServing, ...(isStaleOk ? { leftovers } : {}) },
  )
  return { texts: new Map(found.flatMap((texts) => [...texts])), isStale }
}

/** In the order asked, each once. Throws BAD_REQUEST, BAD_KEY, KEY_TOO_LONG. */
export function readKeys(
  body: unknown,
  { maxPageLimit, maxKeyBytes }: { readonly maxPageLimit: number; readonly maxKeyBytes: number },
): BatchKey[] {
  const isObject = typeof body === 'object' && body !== null && 'keys' in body
  const keys = isObject && Object.keys(body).length === 1 ? body.keys : undefined
  const isRight = Array.isArray(keys) && keys.every((key): key is string => typeof key === 'string')
  if (!isRight)
    throw new HostError('BAD_REQUEST', 'the body has to be { "keys": ["…"] }, keys being strings')
  const halved = keys.find((key) => /\p{Surrogate}/u.test(key))
  if (halved !== undefined) {
    throw new HostError(
      'BAD_KEY',
      `the key ${JSON.stringify(halved)} has half of a surrogate pair: there is no UTF-8 for it`,
    )
  }
  if (keys.length > maxPageLimit) {
    throw new HostError(
      'BAD_REQUEST',
      `${keys.length} keys are asked for, allowed are ${maxPageLimit} (limits.maxPageLimit)`,
    )
  }
  return [...new Set(keys)].map((name) => ({
    name,
    bytes: checkKey(Buffer.from(name), maxKeyBytes),
  }))
}
