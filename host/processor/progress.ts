// What a function has done so far, in memory shared by its worker and the main thread: seen even when the worker is stuck.

// Word 0 counts changes and is what waiters wait on; the 64-bit cells start behind it.
const headerBytes = 8

/** Behind the positions of the inputs. */
const furtherCells = 2

/** For each partition: the stored position of each input, the number of records handled, and how far a copy of its table has come. */
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
    const cells = partitions * (inputs + furtherCells)
    return new Progress(new SharedArrayBuffer(headerBytes + cells * 8), inputs)
  }

  /** The next offset to handle in that input: everything below is handled and stored. */
  position(partition: number, input: number): number {
    return Number(Atomics.load(this.#cells, this.#first(partition) + input))
  }

  records(partition: number): number {
    return Number(Atomics.load(this.#cells, this.#first(partition) + this.#inputs))
  }

  /** Of a partition whose table is copied here: what of its changelog is stored lies below that offset. */
  copied(partition: number): number {
    return Number(Atomics.load(this.#cells, this.#first(partition) + this.#inputs + 1))
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
    const first = this.#first(partition)
    for (const [input, position] of positions.entries()) {
      Atomics.store(this.#cells, first + input, BigInt(position))
    }
    Atomics.store(this.#cells, first + this.#inputs, BigInt(records))
    this.notify()
  }

  publishCopied(partition: number, next: number): void {
    Atomics.store(this.#cells, this.#first(partition) + this.#inputs + 1, BigInt(next))
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

  #first(partition: number): number {
    return partition * (this.#inputs + furtherCells)
  }

  #sum(counts: (cell: number) => boolean): number {
    let sum = 0
    for (const index of this.#cells.keys()) {
      if (counts(index % (this.#inputs + furtherCells)))
        sum += Number(Atomics.load(this.#cells, index))
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
