// The data plane of one function in one thread: its tasks, the reader that feeds them, and what holds or replaces them.
import { asHostError, HostError, type PlainError, toPlainError } from '../errors.js'
import type { Assignment, Batch, Log } from '../log/log.js'
import { wakeOnAbort } from '../log/wake-on-abort.js'
import { replayReader } from '../tables/recovery.js'
import type { TableStore } from '../tables/store.js'
import { unlessAborted } from '../within.js'
import { backoffMs, type Clock } from './clock.js'
import { Attempt, type UserLog } from './context.js'
import { type CopiedTable, Copies, dropOtherCopies } from './copies.js'
import { Feed } from './feed.js'
import { Following, type StandbyState } from './following.js'
import { Holds } from './holds.js'
import { positionIn } from './input.js'
import type { InputNotes } from './input-notes.js'
import { Leftovers } from './leftovers.js'
import { type OpenPartition, openPartition } from './opening.js'
import { Openings } from './openings.js'
import type { Program } from './program.js'
import type { Progress } from './progress.js'
import { Repeats } from './repeats.js'
import { Rest } from './rest.js'
import type { RecordFailure } from './runner.js'
import { type FlushLimits, type Loss, Task } from './task.js'
import type { RecordAt } from './view-program.js'
import { type VisitEnd, Visiting, type VisitReport, type VisitRequest } from './visiting.js'

export interface GroupEvents {
  recovering(partition: number): void
  /** What is stored of the table, while it is brought up to its end: the offset behind it, and the end. */
  progressed(partition: number, next: number, end: number): void
  /** The partition's table was brought up to its end, by so many records of its changelog, of which the first is at `from`. */
  recovered(partition: number, records: number, from: number): void
  running(partition: number): void
  /**
   * The function has stopped: at a record (then with its place), or because a partition cannot be opened. What lies before it is
   * flushed and stored.
   */
  halted(failure: HaltReason): void
  /** It is about to go on. */
  resumed(): void
  skipped(failure: RecordFailure): void
  /** Another owner writes this partition: its task has ended. */
  fenced(partition: number): void
  /** The table's store keeps refusing: it has to be opened anew, by whoever opened it first. The partition stays closed. */
  detached(partition: number, cause: unknown): void
  warned(message: string, fields: Record<string, unknown>): void
  /** Of a partition that others write, and whose table is copied here. */
  standby(partition: number, state: StandbyState): void
  /** What is stored of the partition's table is wiped when it resolves: by then nobody may take it for the table. */
  wiping(partition: number): Promise<void>
  /** Others have had the partition for so long that what was stored of it is deleted. */
  dropped(partition: number): void
  /** These copies may be old, since the log cannot be read; undefined: they have what it had when it could be again. */
  cutOff(error: HostError | undefined): void
  /** Copies of tables that are not ready yet, in words; none: all are. */
  waiting(whatFor: readonly string[]): void
  log(at: RecordAt): UserLog
}

export type HaltReason =
  | RecordFailure
  | { readonly error: PlainError; readonly partition: number; readonly version: string }

export interface GroupOptions {
  readonly log: Log
  /** Null for a function without a table, joins and lookups. Not closed by the group. */
  readonly store: TableStore | null
  /** Of a stateless function; absent: as long as the group lives. */
  readonly notes?: InputNotes
  readonly program: Program
  readonly progress: Progress
  readonly flush: FlushLimits
  readonly cacheBytes: number
  readonly maxRecordBytes: number
  /** How long an attempt may go on when a record boundary is asked for; then it is given up. */
  readonly attemptGraceMs: number
  readonly tombstoneRetentionMs: number
  /** How often it is noted that an idle table is at the changelog's end; null: at the end of the group only. */
  readonly refreshMs: number | null
  /** For how long tables of partitions that have gone are kept; null: for ever. */
  readonly cleanupDelayMs: number | null
  readonly clock: Clock
  readonly events: GroupEvents
}

/** What of the group is this one's. */
export type Share = Pick<Assignment, 'partitions' | 'kept' | 'standbys'>

interface OpenTask {
  readonly task: Task
  readonly open: OpenPartition
}

const refusals = {
  commit: 'the log refused a flush',
  output: 'the log refused outputs',
  store: 'the table refused a flush',
  read: 'the table could not be read',
} as const

/** When they have passed. */
const over = {
  commit: 'the log takes flushes again',
  output: 'the log takes outputs again',
  store: 'the table takes flushes again',
  read: 'the table can be read again',
  reading: 'the inputs can be read again',
}

const inputsOf = ({ edges }: Program): string[] => edges.inputs.map(({ topic }) => topic)

/** Of what concerns all of them. */
const allPartitions = -1

export class Group implements AsyncDisposable {
  readonly #options: GroupOptions
  readonly #notes: InputNotes
  readonly #repeats: Repeats
  readonly #tasks = new Map<number, OpenTask>()
  readonly #openings: Openings
  /** Those that it has, open or not; undefined before it is told. */
  #assigned: readonly number[] | undefined
  readonly #feed: Feed
  readonly #copies: Copies | undefined
  /** Partitions of others whose tables are to be copied here. */
  #standbys: ReadonlySet<number> = new Set()
  #following: Following | undefined
  readonly #leftovers: Leftovers | undefined
  readonly #holds: Holds
  readonly #visiting: Visiting
  readonly #abort = new AbortController()
  /** Cut short when the group ends. */
  readonly #rest: Rest
  #program: Program
  /** `held` settles when everything is; undefined: not halted. */
  #halted: { readonly partition: number; readonly held: Promise<void> } | undefined
  #isPaused = false
  /** Between `revoke` and `assign`; settles when nothing is under way any more. */
  #revoked: Promise<void> | undefined
  #isStopped = false
  #callOffRefresh: () => void = () => {}

  constructor(options: GroupOptions) {
    this.#options = options
    this.#notes = options.notes ?? new Map()
    this.#rest = new Rest(options.clock, this.#abort.signal)
    this.#repeats = new Repeats({
      clock: options.clock,
      over,
      warned: (...told) => options.events.warned(...told),
    })
    this.#program = options.program
    this.#openings = new Openings({
      open: (partition, signal) => this.#open(partition, signal),
      left: (partition) => this.#followUnlessHere(partition),
    })
    this.#holds = new Holds({
      ...options,
      // A partition that is being opened gets its holds when its task is made.
      tasks: () => [...this.#tasks.values()].map(({ task }) => task),
    })
    this.#visiting = new Visiting({
      function: options.program.edges.function,
      clock: options.clock,
      attemptGraceMs: options.attemptGraceMs,
    })
    this.#feed = new Feed({
      reader: options.log.reader({ topics: inputsOf(options.program) }),
      deliver: (batch) => this.#deliver(batch),
      failed: (error, failures) => this.#readFailed(error, failures),
    })
    this.#copies = this.#copied()
    this.#leftovers = this.#dropped()
  }

  get program(): Program {
    return this.#program
  }

  get isHalted(): boolean {
    return this.#halted !== undefined
  }

  /** Everything that is known to be in the log is handled and stored, and no partition is being opened. */
  get isIdle(): boolean {
    return (
      this.#openings.isIdle &&
      (this.#copies?.isIdle ?? true) &&
      (this.#following?.isIdle ?? true) &&
      [...this.#tasks.values()].every(({ task }) => task.isIdle)
    )
  }

  /** How far the copies of others' tables have come. */
  get copied(): ReturnType<Copies['positions']> {
    return this.#copies?.positions() ?? []
  }

  /** Resolves when each partition runs, or has halted the function; without them it is `assign` that tells. `standbys`: as in `follow`. */
  async start(partitions?: readonly number[], standbys: readonly number[] = []): Promise<void> {
    this.#feed.start()
    this.#refreshLater()
    const { store } = this.#options
    const { joins, lookups } = this.#program.edges
    this.#copies?.start()
    // Unless it was told better already.
    if (partitions !== undefined && this.#assigned === undefined) {
      this.#assigned = partitions
      this.follow(standbys)
    }
    const topics = [...joins, ...lookups].map(({ topic }) => topic)
    if (store !== null) await dropOtherCopies(store, topics)
    this.#noteGone()
    await this.#openMissing()
  }

  /**
   * Before its first partitions come: what their openings ask and read was asked and read once, by connections that they find open, and by
   * code that has run. Never rejects.
   */
  async ready(): Promise<void> {
    const { log, store } = this.#options
    const { group, table } = this.#program.edges
    const inputs = inputsOf(this.#program)
    const described = log.describe(table === null ? inputs : [...inputs, table.topic])
    await Promise.allSettled([
      log.committed(group),
      described,
      ...(table === null || store === null ? [] : [this.#readLast(table.topic, described)]),
    ])
  }

  async #readLast(topic: string, described: ReturnType<Log['describe']>): Promise<void> {
    await using reader = replayReader(this.#options.log, [topic])
    using _ = wakeOnAbort(reader, this.#abort.signal)
    const { partitions = [] } = (await described).get(topic) ?? {}
    const last = partitions.find(({ oldest, stableEnd }) => oldest < stableEnd)
    if (last === undefined) return
    reader.assign([{ topic, partition: last.partition, offset: last.stableEnd - 1 }])
    await reader.next()
  }

  /**
   * Its partitions are shared out anew: resolves when its tasks are at a record boundary, with everything before it flushed. From then
   * on nothing is handled, opened or written to the log until `assign`, since the generation in which it may write is over. What was
   * read stays, and is read ahead. `isLast`: it is not to have any again.
   */
  async revoke({ isLast }: { readonly isLast: boolean }): Promise<void> {
    this.#revoked ??= this.#standStill(isLast)
    await this.#revoked
  }

  /**
   * After `revoke`, or of one that had none before. Tasks of partitions that are kept go on with all that they have; the others are closed, and what is missing is
   * opened, for which nobody waits. Resolves, when all is ready for it, with what lets them go on.
   */
  async assign({ partitions, kept, standbys }: Share): Promise<() => void> {
    const before = this.#assigned ?? []
    this.#assigned = partitions
    this.#openings.keep(kept)
    for (const [partition, entry] of this.#tasks) {
      if (!kept.includes(partition)) this.#close(partition, entry)
    }
    this.follow(standbys)
    for (const partition of before) this.#leaveCopies(partition)
    this.#noteGone()
    await Promise.all([...this.#tasks].map(([partition, entry]) => this.#renew(partition, entry)))
    return () => this.#goOn(kept)
  }

  /**
   * The tables of these partitions, which others write, are copied here, with the copies that their tasks would read: so that they can be
   * opened at once. One that a task has here is followed when it has ended. Of a function with a table.
   */
  follow(partitions: readonly number[]): void {
    this.#standbys = new Set(partitions)
    for (const partition of this.#following?.partitions ?? []) {
      if (this.#standbys.has(partition)) continue
      void this.#following?.leave(partition)
      this.#leaveCopies(partition)
    }
    for (const partition of partitions) this.#followUnlessHere(partition)
  }

  /** Resolves when each copy has reached the end that its topic had, or is not to be kept any more. */
  async caughtUp(): Promise<void> {
    await this.#following?.caughtUp()
  }

  /** Puts another version in place, at a record boundary, after a flush. A halted function goes on at its record. */
  async swap(program: Program): Promise<void> {
    await this.#hold('swapped')
    this.#program = program
    for (const { task } of this.#tasks.values()) task.replace(program)
    this.#unhalt()
    this.#holds.release()
  }

  async pause(): Promise<void> {
    if (this.#isPaused) return
    this.#isPaused = true
    await this.#hold('paused')
  }

  /** After `pause`, or after the function has halted: it goes on at its record. */
  resume(): void {
    this.#unhalt()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#holds.release()
  }

  /**
   * Calls the visitor once for each key that the table holds now, in the partitions that it has. Rejects with what `Visiting` does;
   * with RECOVERING or NOT_RUNNING before it has begun.
   */
  async visit(request: VisitRequest): Promise<VisitReport> {
    this.#assertVisitable()
    const tasks = [...this.#tasks.values()].map(({ task }) => task)
    return await this.#visiting.run(this.#program, tasks, request)
  }

  /** Resolves when the visit that is under way, if any, has ended with what was begun of it. */
  async endVisit(why: VisitEnd): Promise<void> {
    await this.#visiting.end(why)
  }

  /** Flushes what was done, then ends. */
  async drain(): Promise<void> {
    await this.#hold('drained')
    await Promise.all([this.#refresh(0), this.#copies?.refresh(0), this.#following?.refresh(0)])
    await this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#callOffRefresh()
    const stopping = new HostError('STOPPING', 'the function is stopping')
    this.#abort.abort(stopping)
    this.#openings.stop(stopping)
    const visited = this.#visiting.end('drained')
    await this.#feed[Symbol.asyncDispose]()
    await this.#openings.settled()
    await Promise.all([...this.#tasks.values()].map((entry) => closeTask(entry)))
    this.#tasks.clear()
    await visited
    await this.#leftovers?.[Symbol.asyncDispose]()
    await this.#following?.[Symbol.asyncDispose]()
    await this.#copies?.[Symbol.asyncDispose]()
  }

  /** A visit that is under way ends: what was begun of it is done, or given up with the rest. */
  async #hold(why: VisitEnd): Promise<void> {
    await Promise.all([this.#visiting.end(why), this.#holds.hold()])
  }

  #assertVisitable(): void {
    const name = this.#program.edges.function
    const refused = (why: string, code: 'NOT_RUNNING' | 'RECOVERING') =>
      new HostError(code, `${name} ${why}`, { function: name })
    if (this.#isStopped) throw refused('stops: try again', 'RECOVERING')
    if (this.#isPaused) throw refused('is paused: resume it, then visit', 'NOT_RUNNING')
    if (this.isHalted) throw refused('has halted: mend it, or resume it, then visit', 'NOT_RUNNING')
    // With what is not open, or held for a moment, not every key would have its turn.
    if (!this.#openings.isDone || this.#holds.isHeld) {
      throw refused('has partitions that are not open yet: try again', 'RECOVERING')
    }
  }

  #refreshLater(): void {
    const { refreshMs, clock } = this.#options
    if (refreshMs === null) return
    this.#callOffRefresh = clock.after(refreshMs, () => {
      void this.#refresh(refreshMs)
      this.#refreshLater()
    })
  }

  async #refresh(olderThanMs: number): Promise<void> {
    if (this.#revoked === undefined) await this.#noteEnds(olderThanMs)
  }

  async #noteEnds(olderThanMs: number): Promise<void> {
    await Promise.all([...this.#tasks.values()].map(({ task }) => task.refresh(olderThanMs)))
  }

  /** Holds every task before it returns: the record must not be taken up again. */
  #halt(reason: HaltReason): void {
    if (this.#halted !== undefined) return
    const halt = { partition: reason.partition, held: this.#hold('halted') }
    this.#halted = halt
    void halt.held.then(() => {
      // Undone meanwhile: nobody has to know.
      if (this.#halted === halt && !this.#isStopped) this.#options.events.halted(reason)
    })
  }

  #unhalt(): void {
    if (this.#halted === undefined) return
    this.#halted = undefined
    this.#options.events.resumed()
    // Held before the halt lets go: what was lost and could not be mended is tried again first.
    if (this.#copies?.isBroken === true) void this.#mendCopies()
    this.#holds.release()
    this.#openings.again()
  }

  async #standStill(isLast: boolean): Promise<void> {
    this.#openings.stop(
      new HostError('STOPPING', 'the partitions of the group are shared out anew'),
    )
    await this.#hold('drained')
    // Also what has ended at its last flush.
    await this.#openings.settled()
    if (isLast) await this.#noteEnds(0)
  }

  /** After the group was shared out anew. */
  #goOn(kept: readonly number[]): void {
    if (this.#isStopped) return
    // The record at which it had halted is another host's, or was given back.
    const isHaltOver = this.#halted !== undefined && !kept.includes(this.#halted.partition)
    if (this.#revoked !== undefined) {
      this.#revoked = undefined
      this.#openings.allow()
      if (isHaltOver) this.#unhalt()
      this.#holds.release()
    }
    void this.#openMissing()
  }

  /** It writes for the generation that is now. */
  async #renew(partition: number, entry: OpenTask): Promise<void> {
    try {
      await entry.open.writer.renew?.()
    } catch (cause) {
      // Opened anew, it is told why.
      if (this.#isStopped || this.#tasks.get(partition) !== entry) return
      this.#options.events.warned('a partition that was kept has to be opened anew', {
        partition,
        cause: asHostError(cause).message,
      })
      this.#close(partition, entry)
    }
  }

  /** Resolves when all that was assigned runs, or has halted the function. */
  async #openMissing(): Promise<void> {
    const missing = (this.#assigned ?? []).filter(
      (partition) => !this.#tasks.has(partition) && !this.#openings.has(partition),
    )
    await Promise.all(missing.map((partition) => this.#openings.begin(partition)))
  }

  async #open(partition: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { log, store, tombstoneRetentionMs, clock, events } = this.#options
    const rest = new Rest(clock, signal)
    // Its last batch would be put over recovered values.
    await this.#following?.leave(partition)
    await this.#leftovers?.back(partition)
    events.recovering(partition)
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const copied = this.#copies?.ready(partition, signal)
        if (copied !== undefined) await unlessAborted(copied, signal)
        const open = await openPartition({
          log,
          store: this.#program.edges.table === null ? null : store,
          edges: this.#program.edges,
          partition,
          tombstoneRetentionMs,
          clock,
          rest: (ms) => rest.wait(ms),
          signal,
          onDataLoss: this.#program.options.onDataLoss,
          notes: this.#notes,
          onSkipped: (what) => events.warned(`records are gone: ${what}`, { partition }),
          onHeldUp: (what) => events.warned(what, { partition }),
          wiping: () => events.wiping(partition),
          onWiped: (reason) => {
            events.warned(`the local table is rebuilt from the log: ${reason}`, { partition })
          },
          onProgress: (_, next, end) => events.progressed(partition, next, end),
          onRecovered: (records, from) => events.recovered(partition, records, from),
        })
        if (signal.aborted) await open.writer[Symbol.asyncDispose]()
        else this.#run(partition, open)
        return
      } catch (error) {
        if (signal.aborted) return
        // What is not known to be final may pass: a log or table that cannot be read for a moment.
        const known = asHostError(error, 'LOG_FAILED')
        if (known.code === 'FENCED') {
          events.fenced(partition)
          return
        }
        if (known.code === 'STORE_FAILED') {
          events.detached(partition, known)
          return
        }
        if (!known.retryable) {
          this.#openings.failed(partition)
          if (known.code === 'INPUT_LOST') this.#forgetPositions(partition)
          this.#halt({ error: toPlainError(known), partition, version: this.#program.version })
          return
        }
        const message = `partition ${partition} cannot be opened yet: ${known.message}`
        this.#repeats.failed('opening', partition, message, { code: known.code })
        await rest.wait(backoffMs(attempt, 50, 5_000))
      }
    }
  }

  #run(partition: number, open: OpenPartition): void {
    const { log, progress, flush, cacheBytes, clock, events, maxRecordBytes } = this.#options
    const task = new Task({
      partition,
      program: this.#program,
      writer: open.writer,
      copied: (of, key) => this.#copies?.get(of, partition, Buffer.from(key)),
      append: (records) => log.append(records, { isBounded: true }),
      table: open.table,
      inputs: open.inputs,
      // Goes on being counted where a task before this one, or a thread before this one, left off.
      records: progress.records(partition),
      flush,
      cacheBytes: cacheBytes / this.#program.edges.partitions,
      maxRecordBytes: maxRecordBytes - this.#reservedBytes(),
      clock,
      publish: (positions, count) => {
        progress.publish(partition, positions, count)
        this.#repeats.passed(partition)
      },
      halted: (failure) => this.#halt(failure),
      skipped: (failure) => events.skipped(failure),
      lost: (why, cause) => this.#lost(partition, why, cause),
      low: (topic) => this.#feed.resume({ topic, partition }),
      retried: (what, cause, attempt) =>
        this.#repeats.failed(what, partition, `${refusals[what]}, trying again`, {
          attempt,
          cause: asHostError(cause).message,
        }),
      log: (attempt) => {
        const { stream, offset } = attempt
        return events.log({ stream, partition, offset, key: Attempt.key(attempt) })
      },
    })
    this.#holds.join(task)
    this.#tasks.set(partition, { task, open })
    this.#repeats.passed(partition)
    task.start()
    for (const input of open.inputs) {
      this.#feed.seek(positionIn(input, partition))
    }
    events.running(partition)
  }

  /** What all copies here have in common. */
  #copying(store: TableStore) {
    const { log, program, tombstoneRetentionMs, refreshMs, clock, events } = this.#options
    return {
      log,
      store,
      function: program.edges.function,
      partitions: program.edges.partitions,
      tombstoneRetentionMs,
      isRefreshed: refreshMs !== null,
      clock,
      rest: (ms: number) => this.#rest.wait(ms),
      signal: this.#abort.signal,
      warned: (message: string, fields: Record<string, unknown>) => events.warned(message, fields),
    }
  }

  #copied(): Copies | undefined {
    const { store, program, events } = this.#options
    const { edges } = program
    const tables = [
      ...edges.joins.map((edge): CopiedTable => ({ ...edge, kind: 'join' })),
      ...edges.lookups.map((edge): CopiedTable => ({ ...edge, kind: 'lookup' })),
    ]
    if (tables.length === 0 || store === null) return undefined
    return new Copies({
      ...this.#copying(store),
      tables,
      waiting: (whatFor) => events.waiting(whatFor),
      interrupted: () => void this.#mendCopies(),
      detached: (cause) => events.detached(allPartitions, cause),
      failed: (error) => this.#copyFailed(error),
    })
  }

  #followUnlessHere(partition: number): void {
    if (this.#isStopped || !this.#standbys.has(partition) || this.#isHere(partition)) return
    this.#following ??= this.#followed()
    this.#following?.follow(partition)
  }

  #isHere(partition: number): boolean {
    return this.#tasks.has(partition) || this.#openings.isBusy(partition)
  }

  /** Of others' tables, unless a task, or one to come, reads them. */
  #leaveCopies(partition: number): void {
    if (this.#assigned?.includes(partition) || this.#standbys.has(partition)) return
    void this.#copies?.leave(partition)
  }

  #followed(): Following | undefined {
    const { store, program, progress, events } = this.#options
    const { edges } = program
    if (edges.table === null || store === null) return undefined
    return new Following({
      ...this.#copying(store),
      free: async (partition) => await this.#leftovers?.back(partition),
      table: { table: edges.function, topic: edges.table.topic, hasher: edges.hasher },
      others: async (partition, signal) => await this.#copies?.ready(partition, signal),
      told: (partition, state) => events.standby(partition, state),
      wiping: (partition) => events.wiping(partition),
      progressed: (partition, next, end) => events.progressed(partition, next, end),
      stored: (partition, next) => progress.publishCopied(partition, next),
      cutOff: (error) => events.cutOff(error),
      detached: (partition, cause) => events.detached(partition, cause),
    })
  }

  #dropped(): Leftovers | undefined {
    const { store, program, clock, cleanupDelayMs, events } = this.#options
    if (store === null || cleanupDelayMs === null) return undefined
    const { table, joins } = program.edges
    return new Leftovers({
      clock,
      delayMs: cleanupDelayMs,
      stores: (partition) => [
        ...(table === null ? [] : [store.partition(partition)]),
        ...joins.map(({ topic }) => store.copy({ topic, partition })),
      ],
      settled: (partition) =>
        Promise.all([
          this.#openings.left(partition),
          this.#following?.leave(partition),
          this.#copies?.leave(partition),
        ]),
      dropping: (partition) => events.wiping(partition),
      dropped: (partition) => events.dropped(partition),
      failed: (partition, cause) => events.detached(partition, cause),
    })
  }

  /** What is not here is deleted in a while. */
  #noteGone(): void {
    // Not told yet: any may come back.
    if (this.#assigned === undefined) return
    const { partitions } = this.#program.edges
    for (let partition = 0; partition < partitions; partition += 1) {
      const isHere = this.#assigned.includes(partition) || this.#standbys.has(partition)
      if (isHere) void this.#leftovers?.back(partition)
      else this.#leftovers?.left(partition)
    }
  }

  /** What is read of a copy while it is made anew would be wrong. */
  async #mendCopies(): Promise<void> {
    await this.#hold('lost')
    try {
      await this.#copies?.mend()
    } catch (error) {
      this.#copyFailed(asHostError(error, 'LOG_FAILED'))
    }
    this.#holds.release()
  }

  #copyFailed(error: HostError): void {
    if (this.#isStopped) return
    if (error.code === 'STORE_FAILED') {
      this.#options.events.detached(allPartitions, error)
      return
    }
    const [partition = 0] = this.#tasks.keys()
    this.#halt({ error: toPlainError(error), partition, version: this.#program.version })
  }

  #lost(partition: number, why: Loss, cause: unknown): void {
    const entry = this.#tasks.get(partition)
    if (entry === undefined || this.#isStopped) return
    this.#close(partition, entry)
    const { events } = this.#options
    switch (why) {
      case 'abandoned':
        break
      case 'fenced':
        events.fenced(partition)
        break
      case 'cut':
        // Its opening finds it, and tells.
        void this.#openings.begin(partition)
        break
      case 'unknown':
        events.warned('how a flush ended is not known: the partition is read anew from the log', {
          partition,
          cause: asHostError(cause).message,
        })
        void this.#openings.begin(partition)
        break
      case 'detached':
        events.detached(partition, cause)
        break
      case 'refused':
      case 'broken': {
        const version = this.#program.version
        this.#openings.failed(partition)
        this.#halt({ error: toPlainError(cause), partition, version })
        break
      }
    }
  }

  #close(partition: number, entry: OpenTask): void {
    this.#tasks.delete(partition)
    void this.#visiting.end('lost')
    this.#repeats.gaveUp(partition)
    for (const { topic } of entry.open.inputs) this.#feed.forget({ topic, partition })
    this.#openings.close(partition, closeTask(entry))
  }

  #forgetPositions(partition: number): void {
    const { progress } = this.#options
    const none = this.#program.edges.inputs.map(() => 0)
    progress.publish(partition, none, progress.records(partition))
  }

  /** Framing, and the positions that the last changelog record of a flush carries in its header. */
  #reservedBytes(): number {
    const { inputs } = this.#program.edges
    return inputs.reduce((sum, { topic }) => sum + topic.length + 64, 256)
  }

  #deliver(batch: Batch): boolean {
    this.#repeats.passed(allPartitions)
    return this.#tasks.get(batch.partition)?.task.offer(batch) ?? true
  }

  async #readFailed(error: HostError, failures: number): Promise<void> {
    const { stream: topic, partition } = error
    const isAnother = error.code === 'UNKNOWN_TOPIC'
    const isGone = isAnother || error.code === 'OFFSET_OUT_OF_RANGE'
    if (isGone && partition !== undefined && this.#program.options.onDataLoss === 'continue') {
      const lost = this.#tasks.get(partition)
      if (lost === undefined) return
      this.#close(partition, lost)
      void this.#openings.begin(partition)
      return
    }
    if (!error.retryable) {
      // Left out until the partition is opened anew, which tells what is the matter.
      for (const [number, lost] of [...this.#tasks]) {
        // A topic that is another one is so in each of its partitions.
        if (!isAnother && number !== (partition ?? number)) continue
        this.#close(number, lost)
        this.#openings.failed(number)
        // Of the topic before: whoever waits for a record of another one must not take them for that.
        if (isAnother) this.#forgetPositions(number)
      }
      const shown = isGone
        ? new HostError('INPUT_LOST', `${topic}: ${error.message}`, { cause: error })
        : error
      const version = this.#program.version
      this.#halt({ error: toPlainError(shown), partition: partition ?? 0, version })
      return
    }
    const message = `reading failed, trying again: ${error.message}`
    this.#repeats.failed('reading', allPartitions, message, { code: error.code })
    await this.#rest.wait(backoffMs(failures, 20, 1_000))
  }
}

async function closeTask({ task, open }: OpenTask): Promise<void> {
  await task.close()
  await open.writer[Symbol.asyncDispose]()
}
