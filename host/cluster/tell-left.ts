// Tells those who stay in a function's group that this host has left it: else each finds out at its next heartbeat only.
import type { GroupPeer } from '../log/log.js'
import type { Cluster } from './cluster.js'
import { heartbeatPath } from './paths.js'

/** Who has not heard by then has found out by itself. */
const withinMs = 250

/** Never rejects: whom it does not reach finds out all the same. */
export async function tellLeft(
  cluster: Cluster,
  functionName: string,
  others: readonly GroupPeer[],
): Promise<void> {
  if (!cluster.isRouting) return
  const path = heartbeatPath(functionName)
  const timeoutMs = Math.min(withinMs, cluster.timeoutMs)
  const tell = async (other: GroupPeer) =>
    await cluster.client.ask(cluster.peer(other), { method: 'POST', path, timeoutMs })
  await Promise.allSettled(others.map(tell))
}
