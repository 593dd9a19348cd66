// Waits until a function has passed what is needed of it: here, and at the instances that have its other partitions.
import { setTimeout as pause } from 'node:timers/promises'
import type { Cluster } from '../cluster/cluster.js'
import { type PositionNeed, RemotePositions } from '../cluster/remote-positions.js'
import { HostError } from '../errors.js'
import type { Catalog } from '../functions/catalog.js'
import type { FunctionDescription } from '../functions/description.js'
import type { GroupPeer } from '../log/log.js'
import { nextChange } from './next-change.js'
import type { Goal, Needs } from './upstream.js'
import type { Wait } from './waiting.js'

export interface ReachedDeps {
  readonly catalog: Catalog
  readonly cluster?: Cluster | undefined
}

interface Behind extends PositionNeed {
  readonly stream: string
  /** That it is at, as far as is known. */
  readonly at: number
}

/** Throws WAIT_TIMEOUT, which names who is behind; RECOVERING when the goal's own partition has gone to another. */
export async function reached(
  deps: ReachedDeps,
  goal: Goal,
  name: string,
  needs: Needs,
  wait: Wait,
): Promise<void> {
  const { catalog, cluster } = deps
  const only = name === goal.function ? goal.partition : undefined
  using remote = cluster && new RemotePositions(cluster, name)
  while (true) {
    using change = nextChange(catalog, name)
    if (only !== undefined && isElsewhere(deps, name, only)) throw gone(goal, only)
    const description = catalog.descriptions().find((known) => known.name === name)
    if (description === undefined) throw removed(goal, name)
    const behind = behindOf(catalog, description, { needs, only, remote })
    const [first] = behind
    if (first === undefined) return
    const news: Promise<unknown>[] = [change.happened]
    if (remote !== undefined) news.push(remote.ask(byOwner(deps, name, behind)))
    if (behind.some(({ partition }) => isNowhere(deps, name, partition))) news.push(pause(againMs))
    try {
      await wait.for(Promise.race(news))
    } catch (error) {
      throw error instanceof HostError && error.code === 'WAIT_TIMEOUT'
        ? tooLate(deps, goal, name, first, error)
        : error
    }
  }
}

/** Another instance has the function's partition, as far as is known. */
export const isElsewhere = (deps: ReachedDeps, name: string, partition: number): boolean =>
  ownerElsewhere(deps, name, partition) !== undefined

/** The group knows no other, and this host's lease is over: should that be renewed, nobody tells. */
const isNowhere = (deps: ReachedDeps, name: string, partition: number): boolean =>
  deps.cluster !== undefined &&
  !deps.catalog.isOwned(name, partition) &&
  !isElsewhere(deps, name, partition)

/** Between two looks. */
const againMs = 50

function ownerElsewhere(
  { catalog, cluster }: ReachedDeps,
  name: string,
  partition: number,
): GroupPeer | undefined {
  if (cluster === undefined || catalog.isOwned(name, partition)) return undefined
  return cluster.ownerElsewhere(catalog, name, partition)
}

function byOwner(
  deps: ReachedDeps,
  name: string,
  behind: readonly Behind[],
): Map<GroupPeer, PositionNeed[]> {
  const owners = new Map<GroupPeer, PositionNeed[]>()
  for (const { topic, partition, position } of behind) {
    const owner = ownerElsewhere(deps, name, partition)
    if (owner === undefined) continue
    const others = owners.get(owner) ?? []
    others.push({ topic, partition, position })
    owners.set(owner, others)
  }
  return owners
}

function behindOf(
  catalog: Catalog,
  { name, inputs }: FunctionDescription,
  {
    needs,
    only,
    remote,
  }: {
    readonly needs: Needs
    /** Of its partitions. */
    readonly only: number | undefined
    readonly remote: RemotePositions | undefined
  },
): Behind[] {
  const behind: Behind[] = []
  for (const { topic, stream } of inputs) {
    for (const [partition, position] of needs.get(topic) ?? []) {
      if (only !== undefined && partition !== only) continue
      const own = catalog.position(name, topic, partition)
      const at = Math.max(own, remote?.position(topic, partition) ?? 0)
      if (at < position) behind.push({ topic, stream, partition, position, at })
    }
  }
  return behind
}

const gone = (goal: Goal, partition: number): HostError =>
  new HostError(
    'RECOVERING',
    `partition ${partition} of the table "${goal.table}" went to another host while it was waited for: try again`,
    { function: goal.function, partition },
  )

const removed = (goal: Goal, name: string): HostError =>
  name === goal.function
    ? new HostError(
        'UNKNOWN_TABLE',
        `the function ${name} was removed, and its table "${goal.table}" with it`,
      )
    : new HostError(
        'STREAM_NOT_UPSTREAM',
        `the function ${name}, which led to the table "${goal.table}", was removed: ask without "after" for what is there`,
      )

function tooLate(
  deps: ReachedDeps,
  goal: Goal,
  name: string,
  { stream, partition, at, position }: Behind,
  { message, cause }: HostError,
): HostError {
  const owner = ownerElsewhere(deps, name, partition)
  const state =
    owner === undefined ? (deps.catalog.states().get(name) ?? 'stopped') : `at ${owner.instance}`
  const details = { function: name, state, stream, partition, position: at, needed: position }
  return new HostError(
    'WAIT_TIMEOUT',
    `the table "${goal.table}" does not reflect the emit yet (${message}): ${name} (${state}) ` +
      `is at ${at} of ${stream}/${partition} and has to reach ${position}`,
    { cause, details },
  )
}
