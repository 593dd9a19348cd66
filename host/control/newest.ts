// The newest record of each key of the control topic: compaction keeps it alone, so that it has to be the word that counts.
import { setTimeout as rest } from 'node:timers/promises'
import type { Said } from './said.js'
import { keyOf, sayingOf, type Wish } from './wish.js'

export interface NewestOptions {
  readonly said: Said
  /** At most so long somebody else is given to put it right. */
  readonly restMs: number
  append(wish: Wish): Promise<void>
}

export class Newest implements Disposable {
  readonly #options: NewestOptions
  readonly #end = new AbortController()
  /** What was read last, by key. */
  readonly #read = new Map<string, string>()
  /** Those that are about to be put right. */
  readonly #wrong = new Set<string>()

  constructor(options: NewestOptions) {
    this.#options = options
  }

  /** The topic is read from its beginning. */
  clear(): void {
    this.#read.clear()
  }

  read(wish: Wish): void {
    this.#read.set(keyOf(wish), sayingOf(wish))
  }

  /** All has been read: what counts and is not the newest (it was overtaken, or somebody has deleted the topic) is said again. */
  async putAllRight(): Promise<void> {
    for (const wish of this.#options.said.wishes) {
      if (!this.#isNewest(wish)) await this.#options.append(wish)
    }
  }

  /**
   * Of those that have heard `late` one says again what counts: whose rest is over first. It ends: what is said is later than what it
   * answers, and nobody answers the latest of all.
   */
  async putRight(late: Wish): Promise<void> {
    const key = keyOf(late)
    if (this.#wrong.has(key)) return
    this.#wrong.add(key)
    const { signal } = this.#end
    await rest(Math.random() * this.#options.restMs, undefined, { signal }).catch(() => {})
    this.#wrong.delete(key)
    const counting = this.#options.said.counting(late)
    if (signal.aborted || counting === undefined || this.#isNewest(counting)) return
    // Should it fail: it is tried again when the topic is read anew.
    await this.#options.append(counting).catch(() => {})
  }

  [Symbol.dispose](): void {
    this.#end.abort()
  }

  #isNewest(wish: Wish): boolean {
    return this.#read.get(keyOf(wish)) === sayingOf(wish)
  }
}
