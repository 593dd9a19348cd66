// Three brokers that are one cluster, each of which can be killed, stopped and started again: every node is a controller, too, so that
// two of them are enough.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quick } from './java.js'
import { freePort } from './ports.js'
import { newCluster, Server } from './server.js'
import { installation, type KafkaTool, runTool } from './tool.js'

const nodes = [1, 2, 3] as const

export type Node = (typeof nodes)[number]

/** What of a single broker is another for three; a topic may have it otherwise. */
const clusterProperties = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  // Nothing moves but what a test moves.
  'auto.leader.rebalance.enable': 'false',
  // One that hangs behind, or is gone, does not hold writes up for half a minute.
  'replica.lag.time.max.ms': '2000',
  'controller.quorum.election.timeout.ms': '500',
  'controller.quorum.election.backoff.max.ms': '200',
  'controller.quorum.fetch.timeout.ms': '1000',
} as const

const heapMb = 256

/** Disposing stops it. */
export interface Cluster extends AsyncDisposable {
  readonly nodes: readonly Node[]
  /** `host:port` of each, the same after a restart. */
  readonly addresses: readonly string[]
  address(node: Node): string
  /** `kill -9`; resolves when it is gone. */
  kill(node: Node): Promise<void>
  /** An orderly end: what it leads is handed over first. */
  stop(node: Node): Promise<void>
  /** On the same data and address; resolves when it serves, and knows itself as one of the cluster. */
  start(node: Node): Promise<void>
  /** Runs one of Kafka's own command-line tools on those that run. */
  tool(name: KafkaTool, args: readonly string[]): Promise<string>
}

export async function startCluster(): Promise<Cluster> {
  const java = await installation()
  const root = await mkdtemp(join(tmpdir(), 'kafka-cluster-'))
  const voters = new Map<number, number>()
  for (const node of nodes) voters.set(node, await freePort())
  const cluster = newCluster()
  const servers = new Map<Node, Server>()
  for (const node of nodes) {
    const options = {
      properties: clusterProperties,
      heapMb,
      options: quick,
      among: { node, voters, cluster },
    }
    servers.set(node, await Server.inFolder(java, join(root, String(node)), options))
  }
  const all = [...servers.values()]
  const server = (node: Node): Server => {
    const found = servers.get(node)
    if (found === undefined) throw new TypeError(`there is no node ${node}`)
    return found
  }
  const address = (node: Node): string => server(node).address('PLAINTEXT')
  const stop = async () => {
    // Not one after the other: the last ones would wait in vain for others to hand over to.
    await Promise.all(all.map((one) => one.kill()))
    await rm(root, { recursive: true, force: true })
  }
  try {
    await Promise.all(all.map((one) => one.format()))
    await Promise.all(all.map((one) => one.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const addresses = nodes.map(address)
  return {
    nodes,
    addresses,
    address,
    kill: (node) => server(node).kill(),
    stop: (node) => server(node).stop(),
    start: (node) => server(node).start(),
    tool: (name, args) => runTool(addresses.join(','), name, args),
    [Symbol.asyncDispose]: stop,
  }
}
