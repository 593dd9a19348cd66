// A connection to a modelled broker: requests are answered in their order. When it is lost, some of what was sent arrives nevertheless.
import { brokerUnavailable } from '#host/log/kafka/problems.js'
import type { Choice } from '../../../../support/choice.js'

const answerMaxMs = 3
const lateMaxMs = 40

interface Request {
  readonly handle: () => void
  readonly lost: (error: Error) => void
}

export class Connection {
  readonly #choice: Choice
  /** Of each request. */
  readonly #lossProbability: () => number
  #waiting: Request[] = []
  #isLost = false

  constructor(choice: Choice, lossProbability: () => number) {
    this.#choice = choice
    this.#lossProbability = lossProbability
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** `handle` is the broker's. It is called even when nobody can be told any more what it returns, or never. */
  ask<A>(handle: () => A): Promise<A> {
    return new Promise((resolve, lost) => {
      this.#waiting.push({ handle: () => resolve(handle()), lost })
      if (this.#waiting.length === 1) this.#handleNext()
    })
  }

  #handleNext(): void {
    const ms = this.#choice.between(0, answerMaxMs)
    setTimeout(() => {
      if (this.#choice.happens(this.#lossProbability())) {
        this.#lose()
        return
      }
      this.#waiting.shift()?.handle()
      if (this.#waiting.length > 0) this.#handleNext()
    }, ms)
  }

  #lose(): void {
    this.#isLost = true
    const lost = this.#waiting
    this.#waiting = []
    for (const one of lost) one.lost(brokerUnavailable(new Error('the connection is lost')))
    const arriving = lost.slice(0, this.#choice.between(0, lost.length))
    const lateMs = this.#choice.between(0, lateMaxMs)
    setTimeout(() => {
      for (const { handle } of arriving) handle()
    }, lateMs)
  }
}
