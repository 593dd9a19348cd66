// Turns records into one packed request and the answer into offsets.
import { HostError } from '../../errors.js'
import type { AppendOptions, Commit, Position, RecordToAppend } from '../log.js'
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

interface Limits {
  readonly maxRecordBytes: number
  readonly maxQueuedBytes: number
}

type Make = (request: ArrayBuffer, positions: readonly NumberedPosition[]) => Question

export class Sender {
  readonly #connection: Connection
  readonly #directory: Directory
  readonly #ends: SharedEnds
  readonly #limits: Limits
  /** Sent and not answered. Counted apart from what the log thread counts: a thread that ends takes its own count along. */
  #unanswered = 0

  constructor(connection: Connection, directory: Directory, ends: SharedEnds, limits: Limits) {
    this.#connection = connection
    this.#directory = directory
    this.#ends = ends
    this.#limits = limits
  }

  /** Rejects with OVERLOADED when too much waits already, unless the caller bounds that itself. */
  async append(
    records: readonly RecordToAppend[],
    { isBounded = false }: AppendOptions = {},
  ): Promise<Sent> {
    const admit = isBounded ? () => {} : (bytes: number) => this.#admit(bytes)
    const send = async (): Promise<Sent> => {
      const make = (request: ArrayBuffer): Question => ({ kind: 'append', request })
      const sent = await this.#send(records, [], make, admit)
      if (sent === 'fenced') throw new Error('the log thread has fenced an append')
      return sent
    }
    try {
      return await send()
    } catch (thrown) {
      if (!(thrown instanceof HostError) || thrown.code !== 'UNKNOWN_TOPIC') throw thrown
      // Removed since we learnt its number, and made anew perhaps: nothing was written, and we learn it again.
      return send()
    }
  }

  /** Never sent again with other numbers: its positions are of the topics that its writer was opened on. */
  async commit({ records, positions }: Commit, make: Make): Promise<Sent | 'fenced'> {
    return this.#send(records, positions, make)
  }

  async #send(
    records: readonly RecordToAppend[],
    positions: readonly Position[],
    make: Make,
    admit: (bytes: number) => void = () => {},
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
    const packed = packRequest(records, numberOf, this.#limits.maxRecordBytes)
    // Asked for now: a buffer that was transferred has none.
    const bytes = packed.buffer.byteLength
    admit(bytes)
    this.#unanswered += bytes
    const answering = this.#connection.ask(make(packed.buffer, numbered))
    const answer = await answering.finally(() => {
      this.#unanswered -= bytes
    })
    if (answer.kind === 'fenced') return 'fenced'
    if (answer.kind !== 'bases') throw new Error(`the log thread answered '${answer.kind}'`)
    return { packed, bases: answer.bases }
  }

  /** Half of the queue is for what is never refused: commits, and outputs that leave at once. */
  #admit(bytes: number): void {
    // What this thread sends in one turn has not arrived yet; what has arrived may be others'.
    const queued = Math.max(this.#unanswered, this.#ends.queued())
    const limit = this.#limits.maxQueuedBytes / 2
    if (queued === 0 || queued + bytes <= limit) return
    throw new HostError(
      'OVERLOADED',
      `${queued} bytes wait to be written to the log, more than ${limit} may not: send slower, or try again`,
    )
  }
}
