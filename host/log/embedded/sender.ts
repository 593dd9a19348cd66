// Turns records into one packed request and the answer into offsets.
import { HostError } from '../../errors.js'
import type { Position, RecordToAppend } from '../log.js'
import type { Connection } from './connection.js'
import type { Directory } from './directory.js'
import type { NumberedPosition, Question } from './messages.js'
import { type Packed, packRequest } from './packing.js'
import type { SharedEnds } from './shared-ends.js'

export interface Sent {
  readonly packed: Packed
  /** Of each section. */
  readonly bases: readonly number[]
}

type Make = (request: ArrayBuffer, positions: readonly NumberedPosition[]) => Question

export class Sender {
  readonly #connection: Connection
  readonly #directory: Directory
  readonly #ends: SharedEnds
  readonly #maxRecordBytes: number

  constructor(
    connection: Connection,
    directory: Directory,
    ends: SharedEnds,
    maxRecordBytes: number,
  ) {
    this.#connection = connection
    this.#directory = directory
    this.#ends = ends
    this.#maxRecordBytes = maxRecordBytes
  }

  /** `admit` may throw to refuse so many bytes. */
  async send(
    records: readonly RecordToAppend[],
    positions: readonly Position[],
    make: Make,
    admit: (bytes: number) => void = () => {},
  ): Promise<Sent | 'fenced'> {
    try {
      return await this.#send(records, positions, make, admit)
    } catch (thrown) {
      if (!(thrown instanceof HostError) || thrown.code !== 'UNKNOWN_TOPIC') throw thrown
      // Removed since we learnt its number, and made anew perhaps: nothing was written, and we learn it again.
      return this.#send(records, positions, make, admit)
    }
  }

  async #send(
    records: readonly RecordToAppend[],
    positions: readonly Position[],
    make: Make,
    admit: (bytes: number) => void,
  ): Promise<Sent | 'fenced'> {
    // No await when nothing is missing: two appends of one caller keep their order.
    const learning = this.#directory.learn(records)
    if (learning !== undefined) await learning
    const learningPositions = this.#directory.learn(positions)
    if (learningPositions !== undefined) await learningPositions
    const problem = this.#connection.problem()
    if (problem !== undefined) throw problem
    const numberOf = (topic: string, partition: number): number =>
      this.#directory.place(topic, partition).number
    const numbered = positions.map(({ topic, partition, offset }) => ({
      topic: numberOf(topic, partition),
      partition,
      offset,
    }))
    const packed = packRequest(records, numberOf, this.#maxRecordBytes)
    const bytes = packed.buffer.byteLength
    admit(bytes)
    this.#ends.queue(bytes)
    const answer = await this.#connection.ask(make(packed.buffer, numbered))
    if (answer.kind === 'fenced') return 'fenced'
    if (answer.kind !== 'bases') throw new Error(`the log thread answered '${answer.kind}'`)
    return { packed, bases: answer.bases }
  }
}
