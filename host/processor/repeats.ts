// What fails again and again: told when it begins, now and then with how often, and when it has passed.
import type { Clock } from './clock.js'

export interface RepeatsOptions {
  readonly clock: Pick<Clock, 'now'>
  /** Of each kind: what is said when it has passed; absent: nothing. */
  readonly over: Readonly<Record<string, string>>
  warned(message: string, fields: Record<string, unknown>): void
}

interface Failing {
  readonly partitions: Set<number>
  readonly since: number
  toldAt: number
  failures: number
  untold: number
}

const tellMs = 30_000

export class Repeats {
  readonly #options: RepeatsOptions
  readonly #kinds = new Map<string, Failing>()

  constructor(options: RepeatsOptions) {
    this.#options = options
  }

  failed(kind: string, partition: number, message: string, fields: Record<string, unknown>): void {
    const { clock, warned } = this.#options
    const now = clock.now()
    const known = this.#kinds.get(kind)
    if (known === undefined) {
      const partitions = new Set([partition])
      this.#kinds.set(kind, { partitions, since: now, toldAt: now, failures: 1, untold: 0 })
      warned(message, partition < 0 ? fields : { ...fields, partition })
      return
    }
    known.partitions.add(partition)
    known.failures += 1
    known.untold += 1
    if (now - known.toldAt < tellMs) return
    warned(`${message} (and ${known.untold} times since it was told last)`, fields)
    known.toldAt = now
    known.untold = 0
  }

  /** What was tried again there has been done. */
  passed(partition: number): void {
    if (this.#kinds.size === 0) return
    for (const kind of [...this.#kinds.keys()]) this.#over(kind, partition)
  }

  /** It is not tried there any more: nothing has passed. */
  gaveUp(partition: number): void {
    for (const [kind, { partitions }] of this.#kinds) {
      partitions.delete(partition)
      if (partitions.size === 0) this.#kinds.delete(kind)
    }
  }

  #over(kind: string, partition: number): void {
    const known = this.#kinds.get(kind)
    // Elsewhere it may go on.
    if (known === undefined || !known.partitions.delete(partition)) return
    if (known.partitions.size > 0) return
    this.#kinds.delete(kind)
    const { clock, over, warned } = this.#options
    const text = over[kind]
    if (text === undefined) return
    const seconds = Math.round((clock.now() - known.since) / 1_000)
    warned(`${text}, after ${known.failures} refusals in ${seconds} s`, {})
  }
}
