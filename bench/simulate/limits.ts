// What a group of this size asks of the brokers and of each instance, at rest: by the real messages, and by what each function has.
import { shareOut } from '../../host/log/kafka/assignor.js'
import type { Claim } from '../../host/log/kafka/claim.js'
import { packClaim } from '../../host/log/kafka/group-data.js'
import { runningEdges } from '../../host/log/kafka/running-edges.js'
import { claimsOf, sharesOf } from '../../host/log/kafka/shares.js'
import { standbysOf } from '../../host/log/kafka/standbys.js'
import { Random } from '../../host/log/memory/random.js'
import { addressOf } from './cluster.js'
import type { Costs } from './costs.js'

export interface Limits {
  readonly transactionsPerSecond: { readonly atFlushInterval: number; readonly underLoad: number }
  /** The shortest that the brokers allow, if all partitions are busy. */
  readonly leastFlushIntervalMs: number
  /** What the leader of the group sends, of which the broker keeps the most in one record, with all claims. */
  readonly syncGroupBytes: number
  readonly groupRecordBytes: number
  /** That the leader takes to share out. */
  readonly joinGroupBytes: number
  readonly connectionsPerBroker: number
  readonly transactionalIds: number
  /** Inputs, table, loop and outputs: one each. */
  readonly topicPartitions: number
  readonly instanceMemoryBytes: number
  readonly instanceDiskBytes: number
  /** What an instance writes to keep its standbys warm, and reads of others for them. */
  readonly standbyBytesPerSecond: number
}

/** Emits of several lines: a host's own. */
const transactorsPerHost = 8
/** Emits and topics of the host. */
const hostConnections = 2
/** Of a function to each broker: its reader's and its writers'. */
const functionConnections = 2
const topicsPerFunction = 4

export function limitsOf(costs: Costs, standbys: number): Limits {
  const { partitions, instances, brokers, brokerTransactionsPerSecond } = costs
  const { flushIntervalMs, flushMaxIntervalMs } = costs
  const transactions = (intervalMs: number) => partitions / (intervalMs / 1_000)
  const messages = messagesOf(costs, standbys)
  const copies = 1 + standbys
  return {
    transactionsPerSecond: {
      atFlushInterval: transactions(flushIntervalMs),
      underLoad: transactions(flushMaxIntervalMs),
    },
    leastFlushIntervalMs: (partitions / (brokers * brokerTransactionsPerSecond)) * 1_000,
    ...messages,
    // A group's connection is to its coordinator alone.
    connectionsPerBroker: instances * (hostConnections + functionConnections) + instances / brokers,
    transactionalIds: partitions + instances * transactorsPerHost,
    topicPartitions: partitions * topicsPerFunction,
    instanceMemoryBytes: costs.hostBytes + costs.functionBytes,
    instanceDiskBytes: (costs.tableBytes * copies * costs.diskRatio) / instances,
    standbyBytesPerSecond: (costs.changedBytesPerSecond * standbys) / instances,
  }
}

/** As long as those that members have of the broker: a client id and a UUID. */
const memberOf = (n: number): string => `millrace-${String(n).padStart(4, '0')}-${'0'.repeat(36)}`

function messagesOf({ partitions, instances }: Costs, standbys: number) {
  const topics = ['clicks']
  const tables = { joins: [], lookups: [], table: 'click-count-table' }
  const edges = { inputs: topics, ...tables, hasher: 'murmur2', partitions } as const
  const version = { version: '0123456789ab', edges, since: 1_764_547_200_000 }
  const first = Array.from({ length: instances }, (_, n): Claim => {
    const instance = `host-${String(n).padStart(3, '0')}-12345`
    const address = addressOf(instance)
    const place = { member: memberOf(n), instance, address }
    return { ...place, topics, owned: [], warm: [], behind: [], standbys, ...version }
  })
  // As it is after many have come and gone: what a member has is no regular row, which would pack to nothing.
  const random = new Random(1)
  const owned = first.map((): number[] => [])
  for (let partition = 0; partition < partitions; partition += 1) {
    owned[random.upTo(instances) - 1]?.push(partition)
  }
  const had = first.map((claim, n) => ({ ...claim, owned: owned[n] ?? [] }))
  const shares = shareOut(had, partitions)
  const copies = standbysOf(had, shares, partitions)
  const claims = had.map((claim) => {
    const share = shares.get(claim.member) ?? []
    return { ...claim, owned: share, warm: [...share, ...(copies.get(claim.member) ?? [])] }
  })
  const members = claims.map(({ member, ...told }) => ({ member, metadata: packClaim(told) }))
  const told = claimsOf({ members })
  const assignments = [...sharesOf(told, runningEdges(told), partitions).values()]
  const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0)
  const ids = sum(members.map(({ member }) => member.length))
  const joinGroupBytes = ids + sum(members.map(({ metadata }) => metadata.length))
  const syncGroupBytes = ids + sum(assignments.map(({ length }) => length))
  return { joinGroupBytes, syncGroupBytes, groupRecordBytes: joinGroupBytes + syncGroupBytes }
}
