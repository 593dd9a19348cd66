// Which instance has which partitions of the functions, as each says of itself.
import { asHostError, HostError } from '../errors.js'
import type {
  Catalog,
  FunctionCondition,
  FunctionStatus,
  InstanceStatus,
  ShownError,
} from '../functions/catalog.js'
import type { GroupPeer } from '../log/log.js'
import type { Cluster } from './cluster.js'
import { viewPath } from './paths.js'
import { refuseUnlessGood } from './refusal.js'

/** Somebody waits for all of them: one that is slow to say is shown as that. */
const withinMs = 1_000

/** What an instance has said of all its functions, or why it has not. */
interface Told {
  readonly peer: GroupPeer
  readonly functions: readonly FunctionCondition[]
  readonly error: InstanceStatus['error']
}

/** Each with the instances that run it: those that do not answer are shown as such. */
export async function withInstances(
  catalog: Catalog,
  cluster: Cluster,
  functions: readonly FunctionStatus[],
): Promise<FunctionStatus[]> {
  const others = await Promise.all(cluster.others(catalog).map((peer) => tellOf(cluster, peer)))
  return functions.map((status) => {
    const { name, state, version } = status
    const partitions = status.partitions.map(({ partition, state: of }) => ({
      partition,
      state: of,
    }))
    const { instance, address } = cluster
    const refused = memberOf(catalog, name, instance)?.isRefused ?? false
    const place = { instance, address, refused }
    const error = shortly(status.error)
    const own: InstanceStatus = { ...place, state, version, partitions, error }
    const instances = [own, ...others.flatMap((told) => shown(catalog, name, told))]
    return { ...status, instances: instances.sort((a, b) => (a.instance < b.instance ? -1 : 1)) }
  })
}

function shown(catalog: Catalog, name: string, { peer, functions, error }: Told): InstanceStatus[] {
  const { instance, address = null } = peer
  // What the group knows of it; of a view, of which each instance has a copy of its own, nothing.
  const member = memberOf(catalog, name, instance)
  const place = { instance, address, refused: member?.isRefused ?? false }
  const condition = functions.find((known) => known.name === name)
  if (condition !== undefined) {
    const { state, version, partitions } = condition
    return [{ ...place, state, version, partitions, error: shortly(condition.error) }]
  }
  if (member === undefined && (catalog.members(name).length > 0 || error === null)) return []
  const partitions = (member?.partitions ?? []).map((partition) => ({ partition, state: null }))
  return [{ ...place, state: null, version: member?.version ?? null, partitions, error }]
}

const shortly = (error: ShownError | null): InstanceStatus['error'] =>
  error && { code: error.code, message: error.message }

const memberOf = (catalog: Catalog, name: string, instance: string): GroupPeer | undefined =>
  catalog.members(name).find((known) => known.instance === instance)

async function tellOf(cluster: Cluster, peer: GroupPeer): Promise<Told> {
  try {
    const owner = cluster.peer(peer)
    const { status, body } = await cluster.client.ask(owner, {
      method: 'GET',
      path: '/cluster/functions',
      timeoutMs: Math.min(withinMs, cluster.timeoutMs),
    })
    refuseUnlessGood(owner, status, body)
    const { functions }: { functions: FunctionCondition[] } = JSON.parse(body.toString())
    return { peer, functions, error: null }
  } catch (error) {
    const { code, message } = asHostError(error)
    return { peer, functions: [], error: { code, message } }
  }
}

/** Of a view, of which each instance has a copy: resolves when all have evicted the key. Throws for those that have not. */
export async function evictAtOthers(
  catalog: Catalog,
  cluster: Cluster,
  view: string,
  key: Buffer,
): Promise<void> {
  const path = viewPath(view, key)
  const asked = cluster.others(catalog).map(async (other) => {
    const peer = cluster.peer(other)
    const { timeoutMs } = cluster
    const { status, body } = await cluster.client.ask(peer, { method: 'DELETE', path, timeoutMs })
    refuseUnlessGood(peer, status, body)
  })
  for (const one of await Promise.allSettled(asked)) {
    if (one.status === 'fulfilled') continue
    const { code, message } = asHostError(one.reason)
    throw new HostError(
      code,
      `the key is evicted here, and not everywhere: ${message}; send it again`,
      { cause: one.reason },
    )
  }
}
