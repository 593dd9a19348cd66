// What the records of one task have done: the table's changes, and what was sent, until a flush has taken it or it has left ahead of that.
import type { RecordToAppend } from '../log/log.js'
import type { Clock } from './clock.js'
import { Attempt } from './context.js'
import type { Frozen } from './flush.js'
import { Outbox } from './outbox.js'
import { type Held, Overlay } from './overlay.js'
import type { Program } from './program.js'

export interface EffectsOptions {
  readonly program: Program
  readonly cacheBytes: number
  readonly clock: Clock
  /** Unfenced, for outputs that leave at once. Resolves when they are in the log. */
  append(records: readonly RecordToAppend[]): Promise<unknown>
  /** The log did not take outputs; tried again. */
  retried(cause: unknown, attempt: number): void
  /** The log will never take them. */
  refused(cause: unknown): void
  /** Outputs have left: there is room again. */
  wake(): void
}

export class Effects {
  #program: Program
  /** The loop, and any other stream that it reads itself: what it sends there moves with the table and the positions. */
  #ownTopics: ReadonlySet<string>
  readonly #overlay: Overlay
  readonly #outbox: Outbox
  /** For the next flush: the loop, and outputs that do not leave at once. */
  #records: RecordToAppend[] = []
  #recordBytes = 0

  constructor({ program, cacheBytes, clock, append, ...told }: EffectsOptions) {
    this.#program = program
    this.#ownTopics = inputTopics(program)
    this.#overlay = new Overlay(cacheBytes)
    this.#outbox = new Outbox({
      clock,
      append,
      onRetry: told.retried,
      onRefused: told.refused,
      wake: told.wake,
    })
  }

  /** Only while the task is held. */
  set program(program: Program) {
    this.#program = program
    this.#ownTopics = inputTopics(program)
  }

  /** Of what waits for a flush. */
  get bytes(): number {
    return this.#overlay.changedBytes + this.#recordBytes
  }

  /** Of what has not left yet, though it needs no flush. */
  get leavingBytes(): number {
    return this.#outbox.bytes
  }

  /** The key's value as far as it counts; undefined: not known here. */
  get(key: string): Held | undefined {
    return this.#overlay.get(key)
  }

  /** As the table has it. */
  learned(key: string, held: Held): void {
    this.#overlay.learned(key, held)
  }

  /**
   * Nothing takes it back any more but the end of the task. Before it counts: what leaves by itself is decided here, once, since another
   * version may be in place by then.
   */
  succeeded(attempt: Attempt): void {
    if (this.#program.options.delivery === 'exactly-once') return
    this.#outbox.add(Attempt.release(attempt, ({ topic }) => !this.#ownTopics.has(topic)))
  }

  /** It counts: the next flush holds what has not left. */
  count(attempt: Attempt): void {
    const staged = Attempt.staged(attempt)
    if (staged !== undefined) this.#overlay.set(Attempt.key(attempt), staged)
    const emitted = Attempt.emitted(attempt)
    if (emitted === undefined) return
    for (const record of emitted) this.#records.push(record)
    this.#recordBytes += Attempt.emittedBytes(attempt)
  }

  /** What a flush takes: what comes later is of the next one. */
  freeze(): Pick<Frozen, 'outputs' | 'changes'> {
    const outputs = this.#records
    this.#records = []
    this.#recordBytes = 0
    return { outputs, changes: this.#overlay.freeze() }
  }

  /** The flush is stored. */
  settled(): void {
    this.#overlay.settled()
  }

  /** Resolves when all that was to leave so far is in the log; false: closed before. */
  async left(): Promise<boolean> {
    return await this.#outbox.sent()
  }

  /** Nothing leaves any more. Resolves when what is under way has settled. */
  async close(): Promise<void> {
    await this.#outbox.close()
  }
}

const inputTopics = ({ edges }: Program): ReadonlySet<string> =>
  new Set(edges.inputs.map(({ topic }) => topic))
