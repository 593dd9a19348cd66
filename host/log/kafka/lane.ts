// The records of one partition within a transaction, and how far their batches are acknowledged.
import type { RecordToAppend, TopicPartition } from '../log.js'
import { keyOf } from '../log.js'
import type { EncodedBatch } from './encoding.js'

export class Lane implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly records: RecordToAppend[] = []
  /** Where its records stand among those of all partitions. */
  readonly places: number[] = []
  batches: readonly EncodedBatch[] = []
  /** The offset of the first record of each batch that is acknowledged; all those before it are, too. */
  readonly bases: number[] = []
  /**
   * The partition knows the producer's epoch: it takes batches in sequence only. Before, it could take the second without the
   * first, so that has to be acknowledged first.
   */
  isProven = false
  /** Of the leader that was known when it was sent the last time; −1: none. */
  leaderEpoch = -1

  constructor({ topic, partition }: TopicPartition) {
    this.topic = topic
    this.partition = partition
  }

  get key(): string {
    return keyOf(this)
  }

  get acknowledged(): number {
    return this.bases.length
  }

  get isDone(): boolean {
    return this.acknowledged === this.batches.length
  }

  /** The position behind its last record. */
  get next(): number {
    return (this.bases.at(-1) ?? -1) + (this.batches.at(-1)?.count ?? 0)
  }
}

/** In the records' order. */
export function lanesOf(records: readonly RecordToAppend[]): Lane[] {
  const byTopic = new Map<string, Map<number, Lane>>()
  const lanes: Lane[] = []
  let lane: Lane | undefined
  records.forEach((record, place) => {
    // Mostly that of the one before: a changelog is of one partition.
    if (lane?.topic !== record.topic || lane.partition !== record.partition) {
      lane = laneOf(record, byTopic)
      if (lane.records.length === 0) lanes.push(lane)
    }
    lane.records.push(record)
    lane.places.push(place)
  })
  return lanes
}

function laneOf(record: RecordToAppend, byTopic: Map<string, Map<number, Lane>>): Lane {
  let topic = byTopic.get(record.topic)
  if (topic === undefined) {
    topic = new Map()
    byTopic.set(record.topic, topic)
  }
  let lane = topic.get(record.partition)
  if (lane === undefined) {
    lane = new Lane(record)
    topic.set(record.partition, lane)
  }
  return lane
}

/** Of each record, in their order, once all lanes are done. */
export function offsetsOf(lanes: readonly Lane[], count: number): number[] {
  const offsets = new Array<number>(count).fill(-1)
  for (const { batches, bases, places } of lanes) {
    let at = 0
    batches.forEach((batch, i) => {
      const base = bases[i] ?? -1
      for (let delta = 0; delta < batch.count; delta++) offsets[places[at++] ?? -1] = base + delta
    })
  }
  return offsets
}
