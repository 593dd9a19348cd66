// The buffered records of one task's inputs, and which of them comes next.
import type { Batch, LogRecord, Position } from '../log/log.js'
import { Epochs } from './epochs.js'

// A few reads ahead of the handler: enough to keep it busy, bounded by the reader's own `maxBytes` a read.
const fullRecords = 1024
const fullBatches = 8

/** Where a task takes its records from. */
export interface RecordQueue {
  readonly topic: string
  readonly head: LogRecord | undefined
  /** Behind what was taken. */
  readonly position: number
  /** It takes more. */
  readonly isLow: boolean
  /** The head is done with. */
  shift(): void
}

/** One input of one partition: batches in order, and the position behind what was handled. */
export class InputBuffer implements RecordQueue {
  readonly topic: string
  #batches: Batch[] = []
  #index = 0
  #buffered = 0
  readonly #epochs: Epochs
  #position: number
  #end: number

  /**
   * `end` is the stable end as known at the start: until it is reached the input is not drained. `leaderEpoch`: of what lies before
   * the position, if it is known.
   */
  constructor(topic: string, position: number, end: number, leaderEpoch?: number) {
    this.topic = topic
    this.#position = position
    this.#end = end
    this.#epochs = new Epochs(leaderEpoch)
  }

  /** As in `Position`. The position is none below one that was asked for before. */
  epochBefore(position: number): number | undefined {
    return this.#epochs.before(position)
  }

  /** Of the next record to handle, or behind gaps and markers that followed the last one. */
  get position(): number {
    return this.#position
  }

  get head(): LogRecord | undefined {
    return this.#batches[0]?.records[this.#index]
  }

  /** Nothing is buffered, and the log is known to have no more. */
  get isDrained(): boolean {
    return this.#batches.length === 0 && this.#position >= this.#end
  }

  get isFull(): boolean {
    return (
      this.#batches.length >= 2 &&
      (this.#buffered >= fullRecords || this.#batches.length >= fullBatches)
    )
  }

  get isLow(): boolean {
    return this.#batches.length < 2
  }

  offer(batch: Batch): void {
    if (batch.stableEnd > this.#end) this.#end = batch.stableEnd
    this.#epochs.read(batch.from, batch.leaderEpoch)
    if (batch.records.length === 0) {
      const last = this.#batches.at(-1)
      // The gap lies behind what is buffered: it is passed when that is.
      if (last !== undefined)
        this.#batches[this.#batches.length - 1] = { ...last, next: batch.next }
      else this.#position = batch.next
      return
    }
    this.#batches.push(batch)
    this.#buffered += batch.records.length
  }

  shift(): void {
    const batch = this.#batches[0]
    if (batch === undefined) return
    this.#index += 1
    this.#buffered -= 1
    const following = batch.records[this.#index]
    if (following !== undefined) {
      this.#position = following.offset
      return
    }
    this.#batches.shift()
    this.#index = 0
    this.#position = batch.next
  }
}

/** With the epoch by which it is checked when somebody goes on from there. */
export function positionIn(
  input: InputBuffer,
  partition: number,
  offset = input.position,
): Position {
  const leaderEpoch = input.epochBefore(offset)
  const at = { topic: input.topic, partition, offset }
  return leaderEpoch === undefined ? at : { ...at, leaderEpoch }
}

/**
 * The input whose head has the lowest timestamp; of equals the one declared first. Undefined while an input that is known to have
 * more has nothing buffered: only so the order is the same each time the same log is read.
 */
export function earliest(inputs: readonly InputBuffer[]): InputBuffer | undefined {
  let found: InputBuffer | undefined
  let lowest = Number.POSITIVE_INFINITY
  for (const input of inputs) {
    const head = input.head
    if (head === undefined) {
      if (!input.isDrained) return undefined
    } else if (head.timestamp < lowest) {
      lowest = head.timestamp
      found = input
    }
  }
  return found
}
