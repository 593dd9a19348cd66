// What a function has done so far, in memory shared by its worker and the main thread: seen even when the worker is stuck.

// Word 0 counts changes and is what waiters wait on; the 64-bit cells start behind it.
const headerBytes = 8

/** For each partition: the stored position of each input, and the number of records handled. */
export class Progress {
  readonly shared: SharedArrayBuffer
  readonly #inputs: number
  readonly #word: Int32Array
  readonly #cells: BigInt64Array
  readonly #listeners = new Set<{ readonly callback: () => void }>()
  #isListening = false

  constructor(shared: SharedArrayBuffer, inputs: number) {
    this.shared = shared
    this.#inputs = inputs
    this.#word = new Int32Array(shared, 0, 1)
    this.#cells = new BigInt64Array(shared, headerBytes)
  }

  static allocate(partitions: number, inputs: number): Progress {
    return new Progress(new SharedArrayBuffer(headerBytes + partitions * (inputs + 1) * 8), inputs)
  }

  /** The next offset to handle in that input: everything below is handled and stored. */
  position(partition: number, input: number): number {
    return Number(Atomics.load(this.#cells, partition * (this.#inputs + 1) + input))
  }

  records(partition: number): number {
    return Number(Atomics.load(this.#cells, partition * (this.#inputs + 1) + this.#inputs))
  }

  totalRecords(): number {
    return this.#sum((cell) => cell === this.#inputs)
  }

  /** The sum of all positions: what has got on at any place has another. */
  totalPosition(): number {
    return this.#sum((cell) => cell < this.#inputs)
  }

  /** One call for all inputs of a partition; wakes whoever waits. */
  publish(partition: number, positions: readonly number[], records: number): void {
    const first = partition * (this.#inputs + 1)
    for (const [input, position] of positions.entries()) {
      Atomics.store(this.#cells, first + input, BigInt(position))
    }
    Atomics.store(this.#cells, first + this.#inputs, BigInt(records))
    this.notify()
  }

  notify(): void {
    Atomics.add(this.#word, 0, 1)
    Atomics.notify(this.#word, 0)
  }

  /** Calls back at each `publish` and `notify` from now on, in any thread; the function returned takes it back. Keeps no thread alive. */
  onChange(callback: () => void): () => void {
    const listener = { callback }
    this.#listeners.add(listener)
    if (!this.#isListening) void this.#listen()
    return () => this.#listeners.delete(listener)
  }

  #sum(counts: (cell: number) => boolean): number {
    let sum = 0
    for (const index of this.#cells.keys()) {
      if (counts(index % (this.#inputs + 1))) sum += Number(Atomics.load(this.#cells, index))
    }
    return sum
  }

  /** One wait for all: one that nobody ends any more, as of a function that has halted, is never freed. */
  async #listen(): Promise<void> {
    this.#isListening = true
    let seen = Atomics.load(this.#word, 0)
    while (this.#listeners.size > 0) {
      // Awaited even if it is over at once: nobody is called back before `onChange` has returned.
      await Atomics.waitAsync(this.#word, 0, seen).value
      // Before they look: what changes from here on ends the next wait.
      seen = Atomics.load(this.#word, 0)
      for (const listener of [...this.#listeners]) {
        if (this.#listeners.has(listener)) listener.callback()
      }
    }
    this.#isListening = false
  }
}
