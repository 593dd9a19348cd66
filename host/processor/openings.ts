// Partitions that are being opened or closed, and those that could not be opened.
export interface OpeningsOptions {
  /** Until it runs, or cannot. Never rejects; ends soon when the signal is aborted. */
  open(partition: number, signal: AbortSignal): Promise<void>
  /** Nothing is under way there any more: it is open, closed, or has failed. */
  left?(partition: number): void
}

export class Openings {
  readonly #options: OpeningsOptions
  readonly #under = new Map<number, Promise<void>>()
  readonly #closing = new Map<number, Promise<void>>()
  readonly #failed = new Set<number>()
  /** Aborted: nothing is opened until `allow`. */
  #allowed = new AbortController()

  constructor(options: OpeningsOptions) {
    this.#options = options
  }

  /** Nothing is being opened or closed. */
  get isIdle(): boolean {
    return this.#under.size + this.#closing.size === 0
  }

  /** Nor is there anything that could not be opened. */
  get isDone(): boolean {
    return this.isIdle && this.#failed.size === 0
  }

  /** It is being opened, or waits for `again`. */
  has(partition: number): boolean {
    return this.#under.has(partition) || this.#failed.has(partition)
  }

  /** Nor is it being closed. */
  isBusy(partition: number): boolean {
    return this.has(partition) || this.#closing.has(partition)
  }

  /** Resolves when it runs, or cannot; at once while nothing is to be opened. */
  begin(partition: number): Promise<void> {
    const { signal } = this.#allowed
    if (signal.aborted) return Promise.resolve()
    // Not before the last batch of the task before has settled: it would put old values over recovered ones.
    const closed = this.#closing.get(partition) ?? Promise.resolve()
    const opening = closed
      .then(() => this.#options.open(partition, signal))
      .finally(() => {
        this.#under.delete(partition)
        this.#options.left?.(partition)
      })
    this.#under.set(partition, opening)
    return opening
  }

  /** Resolves when what is under way there has ended. */
  async left(partition: number): Promise<void> {
    await Promise.all([this.#under.get(partition), this.#closing.get(partition)])
  }

  /** It is opened only when that has settled. */
  close(partition: number, closed: Promise<void>): void {
    const closing = closed.finally(() => {
      this.#closing.delete(partition)
      this.#options.left?.(partition)
    })
    this.#closing.set(partition, closing)
  }

  /** It could not be opened, or must not be gone on with: until `again`. */
  failed(partition: number): void {
    this.#failed.add(partition)
  }

  /** What could not be opened is tried again. */
  again(): void {
    for (const partition of this.#failed) void this.begin(partition)
    this.#failed.clear()
  }

  /** Of those that could not be opened the others are not its own any more. */
  keep(partitions: readonly number[]): void {
    for (const partition of this.#failed) {
      if (!partitions.includes(partition)) this.#failed.delete(partition)
    }
  }

  /** Gives up what is being opened, and opens nothing until `allow`. */
  stop(reason: Error): void {
    this.#allowed.abort(reason)
  }

  /** Nothing is on its way. */
  async settled(): Promise<void> {
    await Promise.all([...this.#under.values(), ...this.#closing.values()])
  }

  allow(): void {
    this.#allowed = new AbortController()
  }
}
