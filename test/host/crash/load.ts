// Requests without end, kept account of: batches over all keys, single events, and keys that are set and deleted.
import type { Random } from '#host/log/memory/random.js'
import type { Account } from './account.js'
import type { Event } from './functions.js'

const keys = 24
const markKeys = 6
const maxBatch = 40
/** A fetch whose socket dies at the wrong moment may never settle: then it is an unanswered one. */
const answerMs = 15_000

export interface LoadOptions {
  readonly url: string
  readonly account: Account
  readonly random: Random
  /** Makes the names of batches its own. */
  readonly name: string
}

export class Load {
  readonly #options: LoadOptions
  readonly #working: Promise<void>[]
  readonly #refused: string[] = []
  #acknowledged = 0
  #isOver = false
  #batches = 0

  constructor(options: LoadOptions) {
    this.#options = options
    this.#working = [this.#postBatches(), this.#postBatches(), this.#postOne(), this.#postMarks()]
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** What was not answered with 201. */
  get refused(): readonly string[] {
    return this.#refused
  }

  /** Resolves when no request is under way any more. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#working)
  }

  async #postBatches(): Promise<void> {
    const { random } = this.#options
    while (!this.#isOver) {
      const size = random.upTo(maxBatch)
      const { name, events, acknowledged } = this.#batch(size)
      const body = events.map(({ key, event }) => JSON.stringify({ key, value: event })).join('\n')
      await this.#post(`events?${name}`, { method: 'POST', body }, acknowledged)
    }
  }

  async #postOne(): Promise<void> {
    while (!this.#isOver) {
      const { events, acknowledged } = this.#batch(1)
      const [{ key, event } = { key: '', event: {} }] = events
      await this.#post(
        `events/${key}`,
        { method: 'POST', body: JSON.stringify(event) },
        acknowledged,
      )
    }
  }

  async #postMarks(): Promise<void> {
    const { random, account } = this.#options
    while (!this.#isOver) {
      const key = `m${random.upTo(markKeys)}`
      if (account.isInDoubt(key)) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        continue
      }
      const mark = random.happens(0.3) ? undefined : random.upTo(1_000_000)
      const acknowledged = account.marking(key, mark)
      const init =
        mark === undefined ? { method: 'DELETE' } : { method: 'POST', body: JSON.stringify(mark) }
      await this.#post(`marks/${key}`, init, acknowledged)
    }
  }

  #batch(size: number) {
    const { random, account, name: prefix } = this.#options
    this.#batches += 1
    const name = `${prefix}-${this.#batches}`
    const events = Array.from({ length: size }, () => {
      const event: Event = { batch: name, size, w: random.upTo(1 << 30) }
      return { key: `k${random.upTo(keys)}`, event }
    })
    return { name, events, acknowledged: account.posting({ name, events }) }
  }

  async #post(path: string, init: RequestInit, acknowledged: () => void): Promise<void> {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), answerMs)
    try {
      const url = `${this.#options.url}/emitters/${path}`
      const response = await fetch(url, { ...init, signal: late.signal })
      const text = await response.text()
      if (response.status === 201) {
        this.#acknowledged += 1
        acknowledged()
      } else this.#refused.push(`${response.status} ${text}`)
    } catch (error) {
      this.#refused.push(String(error))
      // Nobody is there any more, or not yet.
      await new Promise((resolve) => setTimeout(resolve, 5))
    } finally {
      clearTimeout(timer)
    }
  }
}
