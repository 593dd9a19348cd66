// The state of one function, and what it is shown for: put together from what befell it and what was asked of it.
import { type HostError, toPlainError } from '../errors.js'
import type { Assignment } from '../log/log.js'
import type { StandbyState } from '../processor/following.js'
import type { FunctionState, PartitionStatus, RecoveryStatus, ShownError } from './catalog.js'
import { showError } from './failure.js'

/** `ahead`: all that it may be given is copied before it joins. */
export type Phase = 'loading' | 'ahead' | 'joining' | 'active' | 'draining' | 'stopped'

export class Condition {
  readonly #changed: () => void
  readonly #partitions = new Map<number, PartitionStatus['state']>()
  /** Of others: their tables are copied here. */
  readonly #standbys = new Map<number, 'recovering' | 'following'>()
  /** What is stored was the partition's table at some time: it was at its end here, and was not wiped since. */
  readonly #whole = new Set<number>()
  /** `at`: when it has come so far. */
  readonly #recoveries = new Map<
    number,
    Pick<RecoveryStatus, 'position' | 'end'> & { readonly at: number }
  >()
  readonly #now: () => number
  #phase: Phase = 'loading'
  #isHalted = false
  isPaused: boolean
  isSuspended = false
  /** Why it is not run, though it is known and its table is there. */
  quarantined: HostError | undefined
  /** This version would end at its start: no other is tried until a save, or a person, says so. */
  isGivenUp = false
  /** Of itself: shown until it has gone on. */
  failure: ShownError | null = null
  /** Passes by itself: shown until everything runs. */
  trouble: ShownError | null = null

  /** Its group runs with other edges, and gives it nothing. */
  refused: ShownError | null = null

  /** The copies of its own table are: they may be old. */
  isCutOff = false
  /** Copies of others' tables that are not ready, in words. */
  waitingFor: readonly string[] = []

  constructor(of: {
    readonly isPaused: boolean
    readonly quarantined: HostError | undefined
    changed(): void
    /** In ms. */
    now?(): number
  }) {
    this.#now = of.now ?? (() => performance.now())
    this.isPaused = of.isPaused
    this.quarantined = of.quarantined
    this.#changed = of.changed
  }

  get phase(): Phase {
    return this.#phase
  }

  get state(): FunctionState {
    if (this.#phase === 'ahead') return this.#isHalted ? 'halted' : 'recovering'
    if (this.#phase !== 'active') return this.#phase
    // A person's word is shown before its own failure; what is not open yet is neither.
    if (this.isPaused && !this.isRecovering) return 'paused'
    if (this.#isHalted || this.refused !== null) return 'halted'
    const isWaiting = this.isRecovering || this.isSuspended || this.waitingFor.length > 0
    return isWaiting ? 'recovering' : 'running'
  }

  get error(): ShownError | null {
    return this.trouble ?? this.refused ?? this.failure
  }

  /** There may be a thread. */
  get isBegun(): boolean {
    return this.#phase === 'active' || this.#phase === 'ahead'
  }

  get isHalted(): boolean {
    return this.#isHalted
  }

  /** It is known, and not run. */
  get isHeld(): boolean {
    return this.quarantined !== undefined || this.isGivenUp
  }

  get isRecovering(): boolean {
    return [...this.#partitions.values()].includes('recovering')
  }

  /** Partitions are there, and all of them are open. */
  get isOpen(): boolean {
    return this.#partitions.size > 0 && !this.isRecovering
  }

  partition(number: number): PartitionStatus['state'] | undefined {
    return this.#partitions.get(number)
  }

  /** Null: the partition is not being recovered. */
  recovery(partition: number, stalledMs: number): RecoveryStatus | null {
    const recovery = this.#recoveries.get(partition)
    if (recovery === undefined) return null
    const { position, end, at } = recovery
    return { position, end, stalled: this.#now() - at > stalledMs }
  }

  /** What is stored is the table as of the last flush; false while it is being recovered. */
  isServing(partition: number): boolean {
    const state = this.#partitions.get(partition)
    return state === 'running' || state === 'halted'
  }

  /** Undefined: it is not copied here. */
  standby(partition: number): 'recovering' | 'following' | undefined {
    return this.#standbys.get(partition)
  }

  /** Partitions whose tables are here as they are in the log, or nearly so. */
  get warm(): readonly number[] {
    const own = [...this.#partitions].filter(([, state]) => state !== 'recovering')
    const copied = [...this.#standbys].filter(([, state]) => state === 'following')
    return [...own, ...copied].map(([partition]) => partition).sort((a, b) => a - b)
  }

  /** What is stored of it can be shown, though it may be old. */
  isWhole(partition: number): boolean {
    return this.#whole.has(partition)
  }

  enter(phase: Phase): void {
    this.#phase = phase
    this.#changed()
  }

  /** Its thread goes on with those that it keeps. */
  assigned({ partitions, kept, standbys }: Omit<Assignment, 'epoch'>): void {
    this.keepStandbys(standbys)
    for (const partition of [...this.#partitions.keys()]) {
      if (!partitions.includes(partition)) this.lost(partition)
    }
    const isThere = (partition: number) =>
      kept.includes(partition) && this.#partitions.has(partition)
    this.recovering(partitions.filter((partition) => !isThere(partition)))
  }

  /** A thread is to start, or to start anew. */
  recovering(partitions: readonly number[]): void {
    for (const partition of partitions) this.opened(partition, 'recovering')
  }

  opened(partition: number, state: 'recovering' | 'running'): void {
    this.#standbys.delete(partition)
    this.#partitions.set(partition, state)
    this.#begun(partition, state)
  }

  /** Told of a partition that others write. */
  copied(partition: number, state: StandbyState): void {
    if (this.#partitions.has(partition)) return
    this.#standbys.set(partition, state)
    this.#begun(partition, state)
  }

  /** They are not to be copied here any more. */
  keepStandbys(partitions: readonly number[]): void {
    for (const partition of this.#standbys.keys()) {
      if (partitions.includes(partition)) continue
      this.#standbys.delete(partition)
      this.#recoveries.delete(partition)
    }
  }

  wiped(partition: number): void {
    this.#whole.delete(partition)
  }

  /** What is stored may be another store's. */
  storeLost(): void {
    this.#whole.clear()
  }

  progressed({ partition, next, end }: { partition: number; next: number; end: number }): void {
    if ((this.#partitions.get(partition) ?? this.#standbys.get(partition)) !== 'recovering') return
    this.#recoveries.set(partition, { position: next, end, at: this.#now() })
  }

  lost(partition: number): void {
    this.#partitions.delete(partition)
    this.#recoveries.delete(partition)
  }

  lostAll(): void {
    this.#partitions.clear()
    this.keepStandbys([])
    this.#recoveries.clear()
    this.waitingFor = []
  }

  halted(failure: ShownError, partition?: number): void {
    this.#isHalted = true
    // It has come as far as that: what kept it from it has passed.
    this.trouble = null
    this.failure = failure
    // One that could not be opened has nothing to show yet.
    if (partition !== undefined && this.#partitions.get(partition) === 'running') {
      this.#partitions.set(partition, 'halted')
    }
  }

  /** A thread is started: whether it halts again is to be seen. */
  started(): void {
    this.#isHalted = false
    this.waitingFor = []
    this.isCutOff = false
    // It tells them anew.
    this.keepStandbys([])
    // Nor is anything open there.
    this.recovering([...this.#partitions.keys()])
  }

  /** It goes on where it had halted. */
  resumed(): void {
    this.#isHalted = false
    this.failure = null
    for (const [partition, state] of this.#partitions) {
      if (state === 'halted') this.#partitions.set(partition, 'running')
    }
  }

  /** In the place of its thread. */
  held(by: HostError): void {
    this.#isHalted = true
    // It has joined: what kept it from that has passed.
    this.trouble = null
    this.failure = showError(toPlainError(by), undefined)
  }

  #begun(partition: number, state: 'recovering' | 'running' | 'following'): void {
    this.#recoveries.delete(partition)
    if (state === 'recovering') {
      this.#recoveries.set(partition, { position: null, end: null, at: this.#now() })
    } else this.#whole.add(partition)
  }
}
