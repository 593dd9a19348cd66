// A visit of one partition: the visitor is called once for each key that the table held when it began, in turns with the inputs' records.
import type { Header, LogRecord } from '../log/log.js'
import type { Entry } from '../tables/store.js'
import type { RecordQueue } from './input.js'
import type { Source } from './program.js'
import type { RecordFailure } from './runner.js'

export interface VisitCounts {
  /** Keys whose visit has succeeded. */
  readonly visited: number
  /** Given up by `onError: 'skip'`. */
  readonly failed: number
  /** Keys that were gone when their turn came. */
  readonly vanished: number
}

type Fate = keyof VisitCounts

export interface VisitOptions {
  readonly source: Source
  /** In ms since 1970: of the visits, and of what they emit. */
  readonly timestamp: number
  /** The keys are counted beside it. */
  readonly isCounted: boolean
  /** More of it is stored. */
  progressed(): void
  /** It ends by itself, before it has come to its end. */
  ended(): void
}

const noHeaders: readonly Header[] = []
const noCounts: VisitCounts = { visited: 0, failed: 0, vanished: 0 }

/** One key's turn: to the task a record that no input has, handled as any other. */
export class VisitedKey implements LogRecord {
  readonly offset = -1
  readonly value = null
  readonly headers = noHeaders
  readonly isTombstone = false
  readonly valueBytes = 0
  readonly key: Buffer
  readonly visit: Visit
  /** Counts when all before it do. */
  fate: Fate = 'visited'

  constructor(visit: Visit, key: Buffer) {
    this.visit = visit
    this.key = key
  }

  get source(): Source {
    return this.visit.source
  }

  get timestamp(): number {
    return this.visit.timestamp
  }

  keyText(): string {
    return this.key.toString('utf8')
  }

  valueText(): string {
    return ''
  }
}

export class Visit implements RecordQueue {
  readonly source: Source
  readonly timestamp: number
  // As of an input that is never full, and has no position.
  readonly topic = ''
  readonly position = 0
  readonly isLow = true
  readonly #options: VisitOptions
  #pages: AsyncIterator<Entry[]> | undefined
  #page: readonly Entry[] = []
  #at = 0
  /** Read ahead, so that nobody waits for it. */
  #following: readonly Entry[] = []
  #loading: Promise<void> | undefined
  #counting: Promise<void> | undefined
  #head: VisitedKey | undefined
  #wake: () => void = () => {}
  #isRead = false
  #isStopped = false
  #isDropped = false
  /** Taken, and neither counted nor dropped. */
  #taken = 0
  #counts = noCounts
  #stored = noCounts
  #isExact = true
  #failure: RecordFailure | undefined
  #trouble: unknown
  #total: number | undefined
  #leave: () => void = () => {}
  /** Nothing of it is taken any more, and nothing that was taken is left. */
  readonly #over = new Promise<void>((resolve) => {
    this.#leave = resolve
  })

  constructor(options: VisitOptions) {
    this.#options = options
    this.source = options.source
    this.timestamp = options.timestamp
  }

  /** The next key. Undefined: there is none, or it is still being read. */
  get head(): VisitedKey | undefined {
    return this.#isStopped ? undefined : this.#head
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  get isOver(): boolean {
    return this.#taken === 0 && (this.#isStopped || this.#isAllTaken)
  }

  /** All keys have had their turn, and what they did is stored. */
  get isDone(): boolean {
    return this.#isAllTaken && !this.#isDropped && this.#counts === this.#stored
  }

  /** False: what was done last may have been stored, or not, beyond what is counted. */
  get isExact(): boolean {
    return this.#isExact
  }

  /** What is stored for sure. */
  get stored(): VisitCounts {
    return this.#stored
  }

  /** Keys when it began; undefined: not counted yet. */
  get total(): number | undefined {
    return this.#total
  }

  get failure(): RecordFailure | undefined {
    return this.#failure
  }

  /** Why the table could not be read. */
  get trouble(): unknown {
    return this.#trouble
  }

  /** `range` reads the table as it is at the call. */
  begin(range: () => AsyncIterable<Entry[]>, wake: () => void): void {
    this.#wake = wake
    try {
      this.#pages = range()[Symbol.asyncIterator]()
      if (this.#options.isCounted) this.#counting = this.#count(range())
      this.#load()
    } catch (error) {
      this.#unreadable(error)
    }
  }

  /** No key more is taken; what is taken comes to its end. */
  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  /** The head is taken. */
  shift(): void {
    this.#taken += 1
    this.#at += 1
    if (this.#at >= this.#page.length) {
      this.#page = this.#following
      this.#following = []
      this.#at = 0
      this.#load()
    }
    this.#setHead()
  }

  /** One that was taken counts, as does everything before it. */
  count(key: VisitedKey): void {
    this.#taken -= 1
    this.#counts = { ...this.#counts, [key.fate]: this.#counts[key.fate] + 1 }
  }

  /** It ends at this key, which was taken or is its head. */
  fail(failure: RecordFailure, isTaken: boolean): void {
    if (isTaken) this.#taken -= 1
    this.#isDropped = true
    this.#failure ??= failure
    this.#end()
  }

  /** Those that were taken and do not count are as if they had not been. */
  drop(): void {
    if (this.#taken > 0) this.#isDropped = true
    this.#taken = 0
    this.stop()
    this.#leave()
  }

  /** What a flush holds that is frozen now. */
  freeze(): VisitCounts {
    return this.#counts
  }

  /** That flush is stored. */
  settled(counts: VisitCounts): void {
    if (counts === this.#stored) return
    this.#stored = counts
    this.#options.progressed()
  }

  /** How that flush ended is not known. */
  doubted(counts: VisitCounts): void {
    if (counts !== this.#stored) this.#isExact = false
  }

  /** Resolves when it is left. */
  async over(): Promise<void> {
    await this.#over
    await this.#loading
    await this.#pages?.return?.()
    await this.#counting
  }

  leave(): void {
    this.#leave()
  }

  get #isAllTaken(): boolean {
    return this.#isRead && this.#head === undefined
  }

  #end(): void {
    this.stop()
    this.#options.ended()
  }

  #setHead(): void {
    const entry = this.#page[this.#at]
    this.#head = entry && new VisitedKey(this, entry.key)
  }

  #load(): void {
    if (this.#isRead || this.#isStopped || this.#loading !== undefined) return
    this.#loading = this.#loadOnce().finally(() => {
      this.#loading = undefined
      // The page before was used up meanwhile.
      if (this.#head === undefined && this.#following.length > 0) {
        this.#page = this.#following
        this.#following = []
        this.#at = 0
        this.#setHead()
      }
      if (this.#following.length === 0) this.#load()
      this.#wake()
    })
  }

  /** Never rejects. */
  async #loadOnce(): Promise<void> {
    try {
      const next = await this.#pages?.next()
      if (next === undefined || next.done) this.#isRead = true
      else this.#following = next.value
    } catch (error) {
      this.#unreadable(error)
    }
  }

  #unreadable(error: unknown): void {
    this.#trouble ??= error
    this.#end()
  }

  /** Never rejects: what cannot be read is found by the visit, too. */
  async #count(pages: AsyncIterable<Entry[]>): Promise<void> {
    let total = 0
    try {
      for await (const page of pages) {
        total += page.length
        if (this.#isStopped) return
      }
    } catch {
      return
    }
    this.#total = total
    this.#options.progressed()
  }
}

/** As `ctx.stream` tells a visit from a stream, whose name has no colon. */
export const visitStream = (visitor: string): string => `visit:${visitor}`

/** Of JSON; one for all keys, so that none may change it. Throws a SyntaxError. */
export const visitArgument = (text: string | undefined): unknown =>
  text === undefined ? undefined : frozen(JSON.parse(text))

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const each of Object.values(value)) frozen(each)
  return Object.freeze(value)
}
