// Where connections to a cluster begin: by the brokers that are set, and by those that it was heard to have.
import type { BrokerAddress } from './requests/metadata.js'

/**
 * One that is set may be down for as long as it likes once another was reached: what opens anew later, a reader of a function that starts,
 * comes in by those that are there. One after the other, so that each of them is tried, however many are down.
 */
export class Seeds {
  readonly #set: readonly string[]
  #all: readonly string[]
  #next = 0

  /** `host:port` of some of the cluster's brokers, at least one. */
  constructor(set: readonly string[]) {
    this.#set = set
    this.#all = set
  }

  /** Those that live by what was heard last, then the others. */
  get all(): readonly string[] {
    return this.#all
  }

  next(): string {
    const found = this.#all[this.#next % this.#all.length]
    if (found === undefined) throw new RangeError('no broker is set')
    this.#next += 1
    return found
  }

  heard(brokers: readonly BrokerAddress[]): void {
    // kafkajs takes an address apart at its first colon.
    const living = brokers.filter(({ host }) => !host.includes(':'))
    const all = [...new Set([...living.map(({ host, port }) => `${host}:${port}`), ...this.#set])]
    if (all.join() === this.#all.join()) return
    this.#all = all
    this.#next = 0
  }
}
