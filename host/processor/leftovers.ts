// Tables of partitions that others have by now: deleted here when they have been away for long enough, in the background.
import type { PartitionStore } from '../tables/store.js'
import { unlessAborted } from '../within.js'
import type { Clock } from './clock.js'

export interface LeftoversOptions {
  readonly clock: Clock
  /** How long what went is kept: it may come back. */
  readonly delayMs: number
  /** All that lies here of the partition. */
  stores(partition: number): readonly PartitionStore[]
  /** Resolves when nothing is written there any more. */
  settled(partition: number): Promise<unknown>
  /** Awaited: from then on nobody takes what is stored for a table. */
  dropping(partition: number): Promise<void>
  dropped(partition: number): void
  /** The store refuses it. */
  failed(partition: number, cause: unknown): void
}

interface Drop {
  readonly abort: AbortController
  readonly done: Promise<void>
}

export class Leftovers implements AsyncDisposable {
  readonly #options: LeftoversOptions
  /** By partition, how its deletion is called off. */
  readonly #away = new Map<number, () => void>()
  readonly #drops = new Map<number, Drop>()

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** It is not here; should it have been so already, its time goes on. */
  left(partition: number): void {
    if (this.#away.has(partition)) return
    const { clock, delayMs } = this.#options
    this.#away.set(
      partition,
      clock.after(delayMs, () => this.#begin(partition)),
    )
  }

  /** It is to be opened, or copied. Resolves when nothing of it is being deleted: it is there as it was, or has to be made anew. */
  async back(partition: number): Promise<void> {
    this.#away.get(partition)?.()
    this.#away.delete(partition)
    const drop = this.#drops.get(partition)
    drop?.abort.abort(new Error('the partition is back'))
    await drop?.done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = new Set([...this.#away.keys(), ...this.#drops.keys()])
    await Promise.all([...all].map((partition) => this.back(partition)))
  }

  #begin(partition: number): void {
    const abort = new AbortController()
    const done = this.#drop(partition, abort.signal).finally(() => this.#drops.delete(partition))
    this.#drops.set(partition, { abort, done })
  }

  /** Never rejects. */
  async #drop(partition: number, signal: AbortSignal): Promise<void> {
    const { stores, settled, dropping, dropped, failed } = this.#options
    try {
      await unlessAborted(settled(partition), signal)
      const there = stores(partition).filter((store) => store.isThere())
      if (there.length === 0) return
      await unlessAborted(dropping(partition), signal)
      for (const store of there) await store.drop(signal)
      if (!signal.aborted) dropped(partition)
    } catch (cause) {
      if (!signal.aborted) failed(partition, cause)
    }
  }
}
