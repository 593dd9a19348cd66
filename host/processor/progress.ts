// What a function has done so far, in memory shared by its worker and the main thread: seen even when the worker is stuck.

// Word 0 counts changes and is what waiters wait on; the 64-bit cells start behind it.
const headerBytes = 8

/** For each partition: the stored position of each input, and the number of records handled. */
export class Progress {
  readonly shared: SharedArrayBuffer
  readonly #inputs: number
  readonly #word: Int32Array
  readonly #cells: BigInt64Array

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

  /** Resolves at the next `publish` or `notify` after this call. Does not keep a thread alive. */
  changed(): Promise<void> {
    const wait = Atomics.waitAsync(this.#word, 0, Atomics.load(this.#word, 0))
    return wait.async ? wait.value.then(() => {}) : Promise.resolve()
  }
}
