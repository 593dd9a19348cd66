// What the brokers of a test take for kafkajs: it connects to nobody.
import type { Kafka } from 'kafkajs'

export function unconnected(nodes: readonly number[]): Kafka {
  const cluster = {
    connect: async () => {},
    refreshMetadata: async () => {},
    disconnect: async () => {},
    getNodeIds: () => nodes.map(String),
    brokerPool: { findConnectedBroker: () => {} },
  }
  const consumer = (of: { partitionAssigners: readonly ((given: object) => unknown)[] }) =>
    of.partitionAssigners[0]?.({ cluster })
  return { consumer } as unknown as Kafka
}
