// Appends by a seed, and what was told of them.
import type { KafkaAppender } from '#host/log/kafka/appender.js'
import type { RecordToAppend } from '#host/log/log.js'
import type { Choice } from '../../../../support/choice.js'
import { topic } from './brokers.js'

export type Outcome =
  | { readonly kind: 'acknowledged'; readonly offsets: readonly number[] }
  | { readonly kind: 'perhaps written' | 'not written' | 'unanswered' }
  | { readonly kind: 'failed'; readonly message: string }

export interface Call {
  readonly records: readonly RecordToAppend[]
  readonly isAtomic: boolean
  outcome: Outcome
}

type Append = Pick<Call, 'records' | 'isAtomic'>

const maxRecords = 8
/** An atomic append that no batch holds, not even half of one that was too large, would be a transaction. */
const atomicBytes = { least: 500, most: 1_500 }
/** A few appends are more than is gathered while a batch is on its way, so that several are. */
const recordBytes = { least: 4_000, most: 18_000 }

export class AppendSource {
  readonly #choice: Choice
  readonly #partitions: readonly number[]
  readonly #filler = Buffer.alloc(recordBytes.most)
  #count = 0

  constructor(choice: Choice, partitions: readonly number[]) {
    this.#choice = choice
    this.#partitions = partitions
  }

  next(): Append {
    const choice = this.#choice
    const only = choice.happens(0.4) ? choice.one(this.#partitions) : undefined
    const isAtomic = only !== undefined && choice.happens(0.5)
    const { least, most } = isAtomic ? atomicBytes : recordBytes
    const records = Array.from({ length: choice.upTo(maxRecords) }, () => {
      const partition = only ?? choice.one(this.#partitions)
      return this.#record(partition, choice.between(least, most))
    })
    return { records, isAtomic }
  }

  /** To each partition one. */
  toEach(): Append[] {
    return this.#partitions.map((partition) => ({
      records: [this.#record(partition, 0)],
      isAtomic: false,
    }))
  }

  /** No other has its key. */
  #record(partition: number, bytes: number): RecordToAppend {
    const key = Buffer.from(`record ${this.#count++}`)
    return { topic, partition, timestamp: 0, key, value: this.#filler.subarray(0, bytes) }
  }
}

export function call(appender: KafkaAppender, { records, isAtomic }: Append): Call {
  const begun: Call = { records, isAtomic, outcome: { kind: 'unanswered' } }
  appender.append(records, { atomic: isAtomic }).then(
    (offsets) => {
      begun.outcome = { kind: 'acknowledged', offsets }
    },
    ({ message }: Error) => {
      begun.outcome = outcomeOf(message)
    },
  )
  return begun
}

function outcomeOf(message: string): Outcome {
  if (message.includes('nothing was written')) return { kind: 'not written' }
  if (message.includes('perhaps written')) return { kind: 'perhaps written' }
  return { kind: 'failed', message }
}
