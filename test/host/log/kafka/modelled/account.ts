// Compares what was told of appends with what the partitions hold. Whatever it finds is wrong.
import type { RecordToAppend } from '#host/log/log.js'
import type { Call, Outcome } from './calls.js'
import type { Partition } from './partition.js'

interface Acknowledged {
  readonly key: string
  readonly partition: number
  readonly offset: number
}

/** As a call is shown: its values would fill pages. */
interface Shown {
  readonly keys: readonly string[]
  readonly outcome: Outcome
}

export class Account {
  readonly #calls: readonly Call[]
  readonly #partitions: readonly Partition[]
  readonly #acknowledged: readonly Acknowledged[]
  /** How often it is there, by key. */
  readonly #counts = new Map<string, number>()

  /** `calls`: in the order in which they were made. */
  constructor(calls: readonly Call[], partitions: readonly Partition[]) {
    this.#calls = calls
    this.#partitions = partitions
    this.#acknowledged = calls.flatMap(acknowledgedOf)
    for (const key of partitions.flatMap(({ keys }) => keys)) {
      this.#counts.set(key, this.#countOf(key) + 1)
    }
  }

  unanswered(): readonly Shown[] {
    return this.#calls
      .filter(({ outcome: { kind } }) => kind === 'unanswered' || kind === 'failed')
      .map(shown)
  }

  withoutOffset(): readonly Acknowledged[] {
    return this.#acknowledged.filter(({ offset }) => offset < 0)
  }

  notWhereTold(): readonly Acknowledged[] {
    return this.#acknowledged.filter(
      ({ key, partition, offset }) => this.#partitions[partition]?.keys[offset] !== key,
    )
  }

  repeated(): readonly string[] {
    return [...this.#counts].filter(([, count]) => count > 1).map(([key]) => key)
  }

  /** Behind one of its partition that was appended later; not only of what is acknowledged. */
  outOfOrder(): readonly string[] {
    const turns = new Map(this.#calls.flatMap(keysOf).map((key, turn) => [key, turn]))
    return this.#partitions.flatMap(({ keys }) => {
      let last = -1
      return keys.filter((key) => {
        const turn = turns.get(key) ?? -1
        const isOvertaken = turn < last
        last = Math.max(last, turn)
        return isOvertaken
      })
    })
  }

  toldNotToBeThere(): readonly string[] {
    return this.#calls
      .filter(({ outcome }) => outcome.kind === 'not written')
      .flatMap((call) => this.#thereOf(call))
  }

  /** Atomic appends of which only a part is there. */
  inParts(): readonly Shown[] {
    return this.#calls
      .filter((call) => {
        const there = this.#thereOf(call).length
        return call.isAtomic && there > 0 && there < call.records.length
      })
      .map(shown)
  }

  #thereOf(call: Call): string[] {
    return keysOf(call).filter((key) => this.#countOf(key) > 0)
  }

  #countOf(key: string): number {
    return this.#counts.get(key) ?? 0
  }
}

function acknowledgedOf({ records, outcome }: Call): Acknowledged[] {
  if (outcome.kind !== 'acknowledged') return []
  return records.map((record, i) => ({
    key: keyOf(record),
    partition: record.partition,
    offset: outcome.offsets[i] ?? -1,
  }))
}

const keyOf = ({ key }: RecordToAppend): string => key?.toString() ?? ''
const keysOf = ({ records }: Call): string[] => records.map(keyOf)
const shown = (call: Call): Shown => ({ keys: keysOf(call), outcome: call.outcome })
