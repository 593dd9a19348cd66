// What the threads of one log share in memory: where each partition ends, the bell that wakes readers, the queue's bytes.

const BELL = 0
const STATE = 1
const QUEUED = 2
const HEAD_BYTES = 64
const SLOT_WORDS = 3

export type LogState = 'open' | 'failed' | 'closed'
const states: readonly LogState[] = ['open', 'failed', 'closed']

export interface Ends {
  readonly oldest: number
  readonly end: number
}

export class SharedEnds {
  readonly memory: SharedArrayBuffer
  readonly bell: Int32Array
  readonly #slots: BigInt64Array

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.bell = new Int32Array(memory, 0, HEAD_BYTES / 4)
    this.#slots = new BigInt64Array(memory, HEAD_BYTES)
  }

  static create(slots: number): SharedEnds {
    return new SharedEnds(new SharedArrayBuffer(HEAD_BYTES + slots * SLOT_WORDS * 8))
  }

  get slots(): number {
    return this.#slots.length / SLOT_WORDS
  }

  /** Undefined: the slot belongs to this topic no longer. */
  read(slot: number, topic: number): Ends | undefined {
    const at = slot * SLOT_WORDS
    const end = Number(Atomics.load(this.#slots, at + 1))
    const oldest = Number(Atomics.load(this.#slots, at + 2))
    // Asked last: a slot is given away before its numbers change.
    return Number(Atomics.load(this.#slots, at)) === topic ? { oldest, end } : undefined
  }

  /** What a waiting reader asks at each ring; true as well when the topic is gone. */
  hasMoved(slot: number, topic: number, position: number): boolean {
    const at = slot * SLOT_WORDS
    return (
      Number(Atomics.load(this.#slots, at + 1)) !== position ||
      Number(Atomics.load(this.#slots, at)) !== topic
    )
  }

  take(slot: number, topic: number, ends: Ends): void {
    const at = slot * SLOT_WORDS
    Atomics.store(this.#slots, at + 1, BigInt(ends.end))
    Atomics.store(this.#slots, at + 2, BigInt(ends.oldest))
    Atomics.store(this.#slots, at, BigInt(topic))
  }

  /** Topic numbers begin at 1, so that 0 is nobody's. */
  free(slot: number): void {
    Atomics.store(this.#slots, slot * SLOT_WORDS, 0n)
  }

  publish(slot: number, end: number): void {
    Atomics.store(this.#slots, slot * SLOT_WORDS + 1, BigInt(end))
  }

  publishOldest(slot: number, oldest: number): void {
    Atomics.store(this.#slots, slot * SLOT_WORDS + 2, BigInt(oldest))
  }

  /** After what was published: who reads the bell before the ends misses nothing. */
  ring(): void {
    Atomics.add(this.bell, BELL, 1)
    Atomics.notify(this.bell, BELL)
  }

  rung(): number {
    return Atomics.load(this.bell, BELL)
  }

  state(): LogState {
    return states[Atomics.load(this.bell, STATE)] ?? 'failed'
  }

  /** The first end counts: what has failed is not closed by closing it. */
  end(state: 'failed' | 'closed'): void {
    Atomics.compareExchange(this.bell, STATE, 0, states.indexOf(state))
    this.ring()
  }

  queued(): number {
    return Atomics.load(this.bell, QUEUED)
  }

  queue(bytes: number): void {
    Atomics.add(this.bell, QUEUED, bytes)
  }
}
