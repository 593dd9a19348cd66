// Whether what a writer writes first lies right behind what was read when it was opened.
import { keyOf, type Position, type TopicPartition } from '../log.js'
import { otherEnd } from '../problems.js'
import type { Brokers } from './brokers.js'
import type { Deadline } from './deadline.js'
import { kafkaErrors } from './error-codes.js'
import type { Lane } from './lane.js'
import { refused } from './problems.js'
import { listOffsets, offsetAt } from './requests/list-offsets.js'
import type { Trouble } from './trouble.js'

export class Placement {
  readonly #brokers: Brokers
  /** Partitions of which it is known: what comes later comes behind the writer's own. */
  readonly #known = new Set<string>()
  /**
   * So many transactions have had the partition: each that is given up leaves a marker there, and nothing else if its batches were
   * refused.
   */
  readonly #marks = new Map<string, number>()

  constructor(brokers: Brokers) {
    this.#brokers = brokers
  }

  /** They are in the transaction that is open. */
  added(lanes: readonly Lane[]): void {
    for (const { key } of lanes) this.#marks.set(key, (this.#marks.get(key) ?? 0) + 1)
  }

  /** Where it is not known, and would not be by what is to be written: nothing of that goes there. */
  unproven(records: readonly TopicPartition[], behind: readonly Position[] = []): Position[] {
    return behind.filter((told) => {
      const key = keyOf(told)
      return !this.#known.has(key) && !records.some((record) => keyOf(record) === key)
    })
  }

  /** Of what is acknowledged, also if not all of it is: who lies elsewhere than right behind. */
  elsewhere(lanes: readonly Lane[], behind: readonly Position[]): Lane[] {
    return lanes.filter(({ key, bases: [first] }) => {
      const told = behind.find((one) => keyOf(one) === key)
      if (told === undefined || first === undefined || this.#known.has(key)) return false
      if (first !== told.offset + (this.#marks.get(key) ?? 1) - 1) return true
      this.#known.add(key)
      return false
    })
  }

  /**
   * Somebody else has written there since, if who told of the end leads still; else it may have been before, under a leader of whom he
   * had not heard.
   */
  async trouble(
    lanes: readonly Lane[],
    behind: readonly Position[],
    deadline: Deadline,
  ): Promise<Trouble | undefined> {
    for (const lane of lanes) {
      const told = behind.find((one) => keyOf(one) === lane.key)
      if (told === undefined) continue
      const first = lane.bases[0] ?? -1
      const elsewhere = { kind: 'unknown', cause: otherEnd(lane, told.offset, first) } as const
      // Under one leader no end goes back: it is another topic by now.
      if (first < told.offset) return elsewhere
      const isLed = lane.leaderEpoch === told.leaderEpoch
      if (!isLed || (await deadline.bound(this.#leaderEpoch(lane))) !== told.leaderEpoch) {
        return elsewhere
      }
      this.#known.add(lane.key)
    }
    return undefined
  }

  async #leaderEpoch({ topic, partition }: Lane): Promise<number> {
    const asked = [{ topic, partition, time: offsetAt.latest }]
    const found = await this.#brokers.askLeaders(asked, (of) => listOffsets(of))
    for (const { error, leaderEpoch } of found) {
      if (error !== kafkaErrors.NONE) throw refused(error, keyOf({ topic, partition }))
      if (leaderEpoch >= 0) return leaderEpoch
    }
    return (await this.#brokers.leader({ topic, partition })).leaderEpoch
  }
}
