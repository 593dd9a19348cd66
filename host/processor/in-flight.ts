// The records of one task that were taken from its inputs and do not count yet: being handled, waiting for their key's turn, or handled ahead of one that is not finished.
import type { LogRecord } from '../log/log.js'
import { Attempt } from './context.js'
import type { Held } from './overlay.js'
import type { Run } from './runner.js'
import { VisitedKey } from './visit.js'

/**
 * `waiting`: for the records of its key before it, or for its turn. `running`: an attempt is made, or the pause before the next.
 * `handled`: its effects are seen by the records of its key behind it; it waits for acknowledgements. `finished`: nothing of its own
 * is missing, it counts when all before it do.
 */
type State = 'waiting' | 'running' | 'handled' | 'finished'

export interface Entry extends Run {
  /** The input's index; of a visit, the one behind theirs. */
  readonly source: number
  readonly record: LogRecord
  readonly key: string
  /** The position in its input before and behind it. */
  readonly before: number
  readonly after: number
  readonly lane: Lane
  state: State
  /** Raised whenever what it is at is given up: whoever comes back with an older one is too late. */
  turn: number
  /** What succeeded; undefined also for a record without effects. */
  attempt: Attempt | undefined
  readonly recordBytes: number
  effectBytes: number
}

/** The records of one key, in order; at most one of them runs. */
interface Lane {
  readonly key: string
  readonly entries: Entry[]
  /** The first one that is not handled. */
  next: number
  /** The first one that was not handed out by `nextFinal`. */
  final: number
  isRunning: boolean
  isQueued: boolean
  /** The newest value that one of them has set. */
  value: Held | undefined
}

export class InFlight {
  /** In the order in which they were taken. */
  readonly #entries: Entry[] = []
  readonly #lanes = new Map<string, Lane>()
  /** Lanes whose next record may run. */
  readonly #queue: Lane[] = []
  /** For each input: how many of its records are here, and the position up to which all count. */
  readonly #counts: number[]
  readonly #positions: number[]
  #running = 0
  #deferred = 0
  #bytes = 0

  constructor(inputs: number) {
    this.#counts = new Array<number>(inputs).fill(0)
    this.#positions = new Array<number>(inputs).fill(0)
  }

  get size(): number {
    return this.#entries.length
  }

  get running(): number {
    return this.#running
  }

  /** Handled, and waiting for acknowledgements. */
  get deferred(): number {
    return this.#deferred
  }

  /** Of the records here, and of what they have done. */
  get bytes(): number {
    return this.#bytes
  }

  /** Below it every record of the input counts; undefined if none of them is here. */
  position(input: number): number | undefined {
    return this.#counts[input] === 0 ? undefined : this.#positions[input]
  }

  /** The key's newest value that does not count yet. */
  value(key: string): Held | undefined {
    return this.#lanes.get(key)?.value
  }

  add(of: Pick<Entry, 'source' | 'record' | 'key' | 'before' | 'after'>): Entry {
    const recordBytes = bytesOf(of.key, of.record)
    this.#bytes += recordBytes
    let lane = this.#lanes.get(of.key)
    if (lane === undefined) {
      lane = {
        key: of.key,
        entries: [],
        next: 0,
        final: 0,
        isRunning: false,
        isQueued: false,
        value: undefined,
      }
      this.#lanes.set(of.key, lane)
    }
    const entry: Entry = {
      ...of,
      lane,
      state: 'waiting',
      turn: 0,
      attempt: undefined,
      recordBytes,
      effectBytes: 0,
      attempts: 1,
      giveUp: undefined,
    }
    if (this.#counts[of.source] === 0) this.#positions[of.source] = of.before
    this.#counts[of.source] = (this.#counts[of.source] ?? 0) + 1
    this.#entries.push(entry)
    lane.entries.push(entry)
    this.#offer(lane)
    return entry
  }

  /** One that may run now, and is counted as running; undefined: each has to wait for another. */
  take(): Entry | undefined {
    for (let lane = this.#queue.shift(); lane !== undefined; lane = this.#queue.shift()) {
      lane.isQueued = false
      const entry = lane.entries[lane.next]
      if (lane.isRunning || entry === undefined) continue
      this.start(entry)
      return entry
    }
    return undefined
  }

  start(entry: Entry): void {
    entry.state = 'running'
    entry.turn += 1
    entry.lane.isRunning = true
    this.#running += 1
  }

  /** It is the next one of its key again. */
  putBack(entry: Entry): void {
    this.#stop(entry)
    entry.state = 'waiting'
    this.#offer(entry.lane)
  }

  /** Its attempt has succeeded, or it has no effects: the next of its key may run. */
  handled(entry: Entry, attempt: Attempt | undefined, isFinished: boolean): void {
    this.#stop(entry)
    const { lane } = entry
    entry.state = isFinished ? 'finished' : 'handled'
    if (!isFinished) this.#deferred += 1
    entry.attempt = attempt
    if (attempt !== undefined) {
      entry.effectBytes = Attempt.bytes(attempt)
      this.#bytes += entry.effectBytes
      const staged = Attempt.staged(attempt)
      if (staged !== undefined) lane.value = staged
    }
    lane.next += 1
    this.#offer(lane)
  }

  acknowledged(entry: Entry): void {
    entry.state = 'finished'
    this.#deferred -= 1
  }

  /** The next record of its key that nothing can take back any more: it is finished, as are all before it. Each is handed out once. */
  nextFinal({ lane }: Entry): Entry | undefined {
    const entry = lane.entries[lane.final]
    if (entry?.state !== 'finished') return undefined
    lane.final += 1
    return entry
  }

  /** Drops what it and the records of its key behind it have done: they are handled anew, in order. */
  rewind(entry: Entry): void {
    const { lane } = entry
    const from = lane.entries.indexOf(entry)
    for (const behind of lane.entries.slice(from)) {
      if (behind.state === 'handled') {
        this.#deferred -= 1
        if (behind.attempt !== undefined) Attempt.abort(behind.attempt)
      }
      if (behind.state === 'running') {
        this.#stop(behind)
        behind.giveUp?.()
      }
      this.#forget(behind)
      behind.turn += 1
      behind.attempts = 1
      behind.state = 'waiting'
    }
    lane.next = Math.min(lane.next, from)
    lane.final = Math.min(lane.final, from)
    lane.value = newest(lane.entries.slice(0, from))
    this.#offer(lane)
  }

  /** Takes it out: what the records of its key behind it have done is dropped, and done anew without it. */
  remove(entry: Entry): void {
    const { lane, source } = entry
    this.rewind(entry)
    this.#entries.splice(this.#entries.indexOf(entry), 1)
    lane.entries.splice(lane.entries.indexOf(entry), 1)
    if (lane.entries.length === 0) this.#lanes.delete(lane.key)
    this.#counts[source] = (this.#counts[source] ?? 1) - 1
    this.#bytes -= entry.recordBytes
  }

  /** As `remove`, each of them. */
  removeVisits(): void {
    for (const entry of [...this.#entries]) {
      if (entry.record instanceof VisitedKey) this.remove(entry)
    }
  }

  /** Gives up every record that waits for acknowledgements, and what its key has done since. */
  rewindDeferred(): void {
    this.#rewindFrom('handled')
  }

  /** Gives up every record that is finished ahead of one that is not. Only if nothing of it has left yet. */
  rewindFinished(): void {
    this.#rewindFrom('finished')
  }

  /** Tells user code that still is at it that nobody waits any more. */
  abortDeferred(): void {
    for (const { state, attempt } of this.#entries) {
      if (state === 'handled' && attempt !== undefined) Attempt.abort(attempt)
    }
  }

  /** Takes out the next record that counts: everything before it does. */
  retire(): Entry | undefined {
    const [entry] = this.#entries
    if (entry === undefined || entry.state !== 'finished') return undefined
    this.#entries.shift()
    const { lane, source, after } = entry
    // Nothing before it is left, so that it is the first of its key, too.
    lane.entries.shift()
    lane.next -= 1
    lane.final -= 1
    if (lane.entries.length === 0) this.#lanes.delete(lane.key)
    else if (lane.next === 0) lane.value = undefined
    this.#counts[source] = (this.#counts[source] ?? 1) - 1
    this.#positions[source] = after
    this.#bytes -= entry.recordBytes + entry.effectBytes
    return entry
  }

  #rewindFrom(state: State): void {
    for (const lane of this.#lanes.values()) {
      const first = lane.entries.find((entry) => entry.state === state)
      if (first !== undefined) this.rewind(first)
    }
  }

  #offer(lane: Lane): void {
    if (lane.isRunning || lane.isQueued || lane.next >= lane.entries.length) return
    lane.isQueued = true
    this.#queue.push(lane)
  }

  #stop(entry: Entry): void {
    entry.lane.isRunning = false
    this.#running -= 1
  }

  #forget(entry: Entry): void {
    this.#bytes -= entry.effectBytes
    entry.effectBytes = 0
    entry.attempt = undefined
  }
}

const overheadBytes = 128

function bytesOf(key: string, { valueBytes, headers }: LogRecord): number {
  let bytes = overheadBytes + key.length + valueBytes
  for (const [name, content] of headers) bytes += name.length + content.length
  return bytes
}

function newest(entries: readonly Entry[]): Held | undefined {
  for (const { attempt } of entries.toReversed()) {
    const staged = attempt === undefined ? undefined : Attempt.staged(attempt)
    if (staged !== undefined) return staged
  }
  return undefined
}
