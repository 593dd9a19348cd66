// One append that is under way: its records go in several batches perhaps, and it ends once.
import { HostError } from '../../errors.js'
import { recordBytes } from '../limits.js'
import type { RecordToAppend } from '../log.js'

export interface AppendCallOptions {
  readonly count: number
  readonly bytes: number
  /** As performance.now() has it. */
  readonly expiresAt: number
  /** Called when it has ended. */
  readonly ended: (call: AppendCall) => void
  /** Of one that has to be in one batch, and is too large for it. */
  readonly divide?: () => void
}

export class AppendCall {
  readonly bytes: number
  readonly expiresAt: number
  readonly offsets: Promise<readonly number[]>
  readonly #found: number[]
  readonly #ended: (call: AppendCall) => void
  readonly #divide: (() => void) | undefined
  #left: number
  /** Batches that are sent until they are written, or are taken apart again. */
  #inBatches = 0
  #isDone = false
  #refusal: Error | undefined
  #resolve: (offsets: readonly number[]) => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor({ count, bytes, expiresAt, ended, divide }: AppendCallOptions) {
    this.bytes = bytes
    this.expiresAt = expiresAt
    this.#found = new Array<number>(count).fill(-1)
    this.#left = count
    this.#ended = ended
    this.#divide = divide
    this.offsets = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Something of it is written, or may be, or may yet be. */
  get isTouched(): boolean {
    return this.#inBatches > 0 || this.#left < this.#found.length
  }

  /** A part of it is in a batch, with others perhaps, for whose sake it is sent again. */
  batched(): void {
    this.#inBatches++
  }

  /** It is in none any more, and certainly not written. */
  putBack(): void {
    this.#inBatches--
  }

  /** What was sent is certainly not there, until it is sent again. */
  refused(why: Error): void {
    this.#refusal = why
  }

  wrote({ places, from, to }: AppendPart, base: number): void {
    for (let at = from; at < to; at++) this.#found[places[at] ?? -1] = base + at - from
    this.#inBatches--
    this.#left -= to - from
    if (this.#left > 0 || !this.#end()) return
    this.#resolve(this.#found)
  }

  wroteAll(offsets: readonly number[]): void {
    if (this.#end()) this.#resolve(offsets)
  }

  fail(error: Error): void {
    if (this.#end()) this.#reject(error)
  }

  expire(): void {
    this.fail(this.isTouched ? perhapsWritten() : notWritten(this.#refusal))
  }

  divide(): void {
    this.#divide?.()
  }

  #end(): boolean {
    if (this.#isDone) return false
    this.#isDone = true
    this.#ended(this)
    return true
  }
}

/** Some of a call's records for one partition. */
export interface AppendPart {
  readonly call: AppendCall
  readonly records: readonly RecordToAppend[]
  /** Of each record among those of the call. */
  readonly places: readonly number[]
  readonly from: number
  readonly to: number
  /** In a batch, at most. */
  readonly bytes: number
  /** In one batch, or not at all. */
  readonly isWhole: boolean
}

/** Lengths as long as they can be. */
const LENGTHS = 24
const HEADER_LENGTHS = 2

export const bytesInBatch = (record: RecordToAppend): number =>
  recordBytes(record) + LENGTHS + HEADER_LENGTHS * (record.headers?.length ?? 0)

export const perhapsWritten = (cause?: unknown): HostError =>
  new HostError(
    'BROKER_UNAVAILABLE',
    'Kafka has not acknowledged what was sent: it is perhaps written, and there twice if it is sent again',
    { cause },
  )

const notWritten = (refusal: Error | undefined): HostError =>
  new HostError(
    'BROKER_UNAVAILABLE',
    `${refusal?.message ?? 'Kafka could not be asked in time'}, and nothing was written: send it again`,
    { cause: refusal },
  )
