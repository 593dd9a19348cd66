// Has a request answered by whoever has its partitions, this host or others, also while that changes.
import { setTimeout as pause } from 'node:timers/promises'
import { HostError } from '../errors.js'
import type { Catalog, TableEntry } from '../functions/catalog.js'
import type { GroupPeer } from '../log/log.js'
import type { Peer } from './client.js'
import type { Cluster } from './cluster.js'

type Partitions = readonly number[]

export interface Attempts<T> {
  /** Throws RECOVERING if they are not all here any more. */
  here(table: TableEntry, partitions: Partitions): Promise<T>
  /** Throws RECOVERING if the other does not have all of them. */
  there(owner: Peer, partitions: Partitions, timeoutMs: number): Promise<T>
  /** It is neither here nor, as far as is known, elsewhere. */
  nowhere(table: TableEntry, partition: number): HostError
  /** What is here of what cannot be had from its owner; absent: that is waited for, and refused. */
  leftovers?(table: TableEntry, partitions: Partitions): Promise<T>
}

export interface Asking {
  readonly catalog: Catalog
  readonly cluster: Cluster
  /** Of the table. */
  readonly function: string
  /** As it is now. Throws UNKNOWN_TABLE. */
  table(): TableEntry
  /** How long all of it may take, in ms. */
  readonly withinMs: number
  /** Waits all of its time for who has them, not `graceMs` alone. */
  readonly isPatient?: boolean
  /** Copies of what others have are not enough: how far they have come is known to the owners alone. */
  readonly isFromOwners?: boolean
  /** Throws when whoever asks has gone. */
  wait<T>(promise: Promise<T>): Promise<T>
}

/** Between two tries where nothing tells that another is of use: a lease that is renewed, for one, is told by nobody. */
const againMs = 50

/**
 * One answer, or several that together are of all partitions. While some move, and when an owner does not answer, the next
 * assignment is waited for as long as `graceMs`, from the first failure on, and what failed is tried again; then that is thrown.
 */
export async function atOwners<T>(
  asking: Asking,
  partitions: Partitions,
  attempts: Attempts<T>,
): Promise<T[]> {
  const { cluster, withinMs, isPatient = false } = asking
  const graceMs = isPatient ? withinMs : cluster.graceMs
  const end = performance.now() + withinMs
  const answers: T[] = []
  let graceEnd = Number.POSITIVE_INFINITY
  let open = partitions
  let before: HostError | undefined
  for (;;) {
    const begun = performance.now()
    const known = stateOf(asking, open)
    const failed = await round(asking, open, { ...attempts, leftMs: end - begun, answers })
    if (failed === undefined) return answers
    open = failed.partitions
    if (attempts.leftovers !== undefined) {
      answers.push(await attempts.leftovers(asking.table(), open))
      return answers
    }
    const now = performance.now()
    // An attempt may wait for long before it fails, with `after`: the partition moves only then.
    const isLong = now - begun > graceMs
    if (isLong || graceEnd > end) graceEnd = Math.min(now + graceMs, end)
    // One for which there was no time left tells nothing.
    if (now >= graceEnd) throw now >= end ? (before ?? failed.failure) : failed.failure
    before = failed.failure
    await asking.wait(newsOf(asking, open, known, Math.min(graceEnd, now + againMs)))
  }
}

interface Failed {
  readonly partitions: Partitions
  readonly failure: HostError
}

/** Each owner is asked once; tells what failed, unless trying again is of no use. */
async function round<T>(
  asking: Asking,
  open: Partitions,
  { answers, leftMs, ...attempts }: Attempts<T> & { readonly leftMs: number; answers: T[] },
): Promise<Failed | undefined> {
  const table = asking.table()
  const mayFail = attempts.leftovers === undefined ? mayPass : mayBeLeft
  const isEnough = (partition: number) => asking.isFromOwners !== true || table.isOwned(partition)
  const isHere = (partition: number) =>
    (table.isServing(partition) && isEnough(partition)) ||
    (attempts.leftovers !== undefined && table.isOwned(partition))
  const here = open.filter(isHere)
  const away = open.filter((partition) => !isHere(partition))
  const failures: Failed[] = []
  const attempt = async (partitions: Partitions, work: () => Promise<T>) => {
    try {
      answers.push(await work())
    } catch (error) {
      if (!(error instanceof HostError) || !mayFail(error)) throw error
      failures.push({ partitions, failure: error })
    }
  }
  const timeoutMs = Math.max(1, leftMs)
  const asked: Promise<void>[] = []
  if (here.length > 0) asked.push(attempt(here, () => attempts.here(table, here)))
  for (const [owner, partitions] of byOwner(asking, table, away)) {
    asked.push(
      attempt(partitions, async () => {
        if (owner === undefined) throw attempts.nowhere(table, partitions[0] ?? 0)
        return await attempts.there(asking.cluster.peer(owner), partitions, timeoutMs)
      }),
    )
  }
  // All of them: none may go on behind the back of who asks.
  const settled = await Promise.allSettled(asked)
  for (const one of settled) if (one.status === 'rejected') throw one.reason
  const [first] = failures
  if (first === undefined) return undefined
  return { failure: first.failure, partitions: failures.flatMap(({ partitions: of }) => of) }
}

/** Undefined: nobody else, as far as is known; one that is here, or was, is not asked of another before it is told. */
function byOwner({ catalog, cluster }: Asking, table: TableEntry, partitions: Partitions) {
  const owners = new Map<GroupPeer | undefined, number[]>()
  for (const partition of partitions) {
    const owner = table.isOwned(partition)
      ? undefined
      : cluster.ownerElsewhere(catalog, table.function, partition)
    const found = owners.get(owner)
    if (found === undefined) owners.set(owner, [partition])
    else found.push(partition)
  }
  return owners
}

interface State {
  readonly members: ReturnType<Catalog['members']>
  /** Those that are served here. */
  readonly serving: Partitions
}

const stateOf = ({ catalog, function: name, table }: Asking, partitions: Partitions): State => ({
  members: catalog.members(name),
  serving: partitions.filter((partition) => table().isServing(partition)),
})

/** Resolves when more is served here than was, or the group is shared out anew, at the latest at the given time. */
async function newsOf(
  asking: Asking,
  partitions: Partitions,
  known: State,
  end: number,
): Promise<void> {
  const isNews = () => {
    const { members, serving } = stateOf(asking, partitions)
    return members !== known.members || serving.some((each) => !known.serving.includes(each))
  }
  while (!isNews()) {
    const left = end - performance.now()
    if (left <= 0) return
    let changed = () => {}
    const happened = new Promise<void>((resolve) => {
      changed = resolve
    })
    const takeBack = asking.catalog.onChange(asking.function, changed)
    await Promise.race([happened, pause(left)])
    takeBack()
  }
}

const mayPass = ({ code }: HostError): boolean =>
  code === 'RECOVERING' || code === 'PEER_UNREACHABLE'

const mayBeLeft = (error: HostError): boolean => mayPass(error) || error.code === 'NOT_ROUTED'
