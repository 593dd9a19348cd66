// Has a request answered by whoever has its partition, this host or another, also while that changes.
import { setTimeout as pause } from 'node:timers/promises'
import { HostError } from '../errors.js'
import type { Catalog, TableEntry } from '../functions/catalog.js'
import type { Peer } from './client.js'
import type { Cluster } from './cluster.js'

export interface Place {
  readonly table: string
  readonly function: string
  readonly partition: number
}

export interface Attempts<T> {
  /** Throws RECOVERING if it is not here any more. */
  here(table: TableEntry): Promise<T>
  /** Throws RECOVERING if the other does not have it. */
  there(owner: Peer, timeoutMs: number): Promise<T>
  /** It is neither here nor, as far as is known, elsewhere. */
  nowhere(table: TableEntry): HostError
}

export interface Asking {
  readonly catalog: Catalog
  readonly cluster: Cluster
  /** How long all of it may take, in ms. */
  readonly withinMs: number
  /** Throws when whoever asks has gone. */
  wait<T>(promise: Promise<T>): Promise<T>
  /** Throws UNKNOWN_TABLE. */
  table(): TableEntry
  /** It has come to wait: all of its time, not `graceMs` alone. */
  readonly isPatient?: boolean
}

/** Between two tries where nothing tells that another is of use: a lease that is renewed, for one, is told by nobody. */
const againMs = 50

/**
 * While the partition moves, and when its owner does not answer, it waits for the next assignment as long as `graceMs`, from the
 * first failure on, and tries again; then that failure is thrown.
 */
export async function atOwner<T>(
  asking: Asking,
  place: Place,
  { here, there, nowhere }: Attempts<T>,
): Promise<T> {
  const { catalog, cluster, withinMs, wait, isPatient = false } = asking
  const graceMs = isPatient ? withinMs : cluster.graceMs
  const end = performance.now() + withinMs
  let graceEnd = Number.POSITIVE_INFINITY
  for (;;) {
    const begun = performance.now()
    const known = catalog.members(place.function)
    let failure: HostError
    try {
      const table = asking.table()
      if (table.isServing(place.partition)) return await here(table)
      const owner = ownerElsewhere(asking, table, place)
      if (owner === undefined) throw nowhere(table)
      return await there(owner, Math.max(1, end - begun))
    } catch (error) {
      if (!(error instanceof HostError) || !mayPass(error)) throw error
      failure = error
    }
    const now = performance.now()
    // An attempt may wait for long before it fails, with `after`: the partition moves only then.
    const isLong = now - begun > graceMs
    if (isLong || graceEnd > end) graceEnd = Math.min(now + graceMs, end)
    if (now >= graceEnd) throw failure
    await wait(newsOf(asking, place, known, Math.min(graceEnd, now + againMs)))
  }
}

/** Of a table that several hosts share; a view is whole at each. */
function ownerElsewhere(
  { catalog, cluster }: Asking,
  table: TableEntry,
  place: Place,
): Peer | undefined {
  if (table.isOwned(place.partition)) return undefined
  return cluster.ownerElsewhere(catalog, place.function, place.partition)
}

/** Resolves when the partition is served here, or the group is shared out anew, at the latest at the given time. */
async function newsOf(
  { catalog }: Pick<Asking, 'catalog'>,
  place: Place,
  known: ReturnType<Catalog['members']>,
  end: number,
): Promise<void> {
  const isNews = () =>
    catalog.members(place.function) !== known ||
    catalog.table(place.table)?.isServing(place.partition) === true
  while (!isNews()) {
    const left = end - performance.now()
    if (left <= 0) return
    let changed = () => {}
    const happened = new Promise<void>((resolve) => {
      changed = resolve
    })
    const takeBack = catalog.onChange(place.function, changed)
    await Promise.race([happened, pause(left)])
    takeBack()
  }
}

export const mayPass = ({ code }: HostError): boolean =>
  code === 'RECOVERING' || code === 'PEER_UNREACHABLE'
