// A function's tasks on the memory log and store, in this thread: what they did can be compared with what was emitted.
import t from 'tap'
import type { LogRecord, RecordToAppend } from '#host/log/log.js'
import { createMemoryLog, type MemoryFaults, type MemoryLog } from '#host/log/memory/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import { type Clock, systemClock } from '#host/processor/clock.js'
import { Group, type HaltReason } from '#host/processor/group.js'
import type { NotedInput } from '#host/processor/input-notes.js'
import {
  createProgram,
  type Edges,
  type RunnableDefinition,
  type RunOptions,
} from '#host/processor/program.js'
import { Progress } from '#host/processor/progress.js'
import type { RecordFailure } from '#host/processor/runner.js'
import type { FlushLimits } from '#host/processor/task.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { TableStore } from '#host/tables/store.js'
import { Life } from '#host/testing/life.js'
import { until } from '../../support/until.js'

export const partitions = 3
export const partitionNumbers = Array.from({ length: partitions }, (_, partition) => partition)

export const edges: Edges = {
  function: 'sum',
  group: 'sum',
  partitions,
  hasher: 'murmur2',
  inputs: [{ stream: 'numbers', topic: 'numbers' }],
  outputs: [{ stream: 'sums', topic: 'sums', partitions, hasher: 'murmur2' }],
  table: { topic: 'sum-table' },
  loop: null,
  joins: [],
  lookups: [],
}

export const options: RunOptions = {
  onError: 'halt',
  retry: { attempts: 3, backoffMs: 1 },
  onDataLoss: 'halt',
  tombstones: 'ignore',
  concurrency: 1,
  delivery: 'exactly-once',
}

export interface HarnessOptions {
  readonly seed?: number
  readonly faults?: MemoryFaults
  readonly definition: RunnableDefinition
  readonly edges?: Edges
  readonly options?: RunOptions
  readonly flush?: Partial<FlushLimits>
  readonly attemptGraceMs?: number
  readonly maxRecordBytes?: number
  readonly refreshMs?: number
  readonly cleanupDelayMs?: number
  readonly clock?: Clock
  /** Of several hosts; absent: one of its own. */
  readonly log?: MemoryLog
}

/** Pauses pass fifty times as fast. */
export const fastClock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms / 50, callback),
}

/** A pause is over as soon as it has begun, and time has passed by it. */
export function jumpingClock(): Clock {
  let passed = 0
  return {
    now: () => passed,
    wallTime: () => systemClock.wallTime(),
    after(ms, callback) {
      return systemClock.after(0, () => {
        passed += ms
        callback()
      })
    },
  }
}

export class Harness {
  readonly log: MemoryLog
  readonly progress: Progress
  readonly halts: HaltReason[] = []
  readonly skips: RecordFailure[] = []
  readonly warnings: string[] = []
  /** What it has said that it waits for. */
  readonly waits: string[][] = []
  /** Commits that were refused. */
  refused = 0
  readonly logged: string[] = []
  readonly states: string[] = []
  /** Of recoveries: partition, the offset behind what is stored, the end. */
  readonly progressions: [partition: number, next: number, end: number][] = []
  store: TableStore = createMemoryStore()
  readonly notes = new Map<number, readonly NotedInput[]>()
  readonly #options: HarnessOptions
  readonly #edges: Edges
  #group: Group | undefined
  #versions = 0
  #life = new Life()

  constructor(given: HarnessOptions) {
    this.#options = given
    this.#edges = given.edges ?? edges
    this.log = given.log ?? createMemoryLog({ seed: given.seed ?? 1, faults: given.faults ?? {} })
    const openWriter = this.log.openWriter.bind(this.log)
    this.log.openWriter = async (...of) => {
      const writer = await openWriter(...of)
      const commit = writer.commit.bind(writer)
      writer.commit = async (flush) => {
        const outcome = await commit(flush)
        if (outcome.kind === 'failed') this.refused += 1
        return outcome
      }
      return writer
    }
    this.progress = Progress.allocate(partitions, this.#edges.inputs.length)
  }

  get group(): Group {
    if (this.#group === undefined) throw new Error('no group runs')
    return this.#group
  }

  async prepare(): Promise<void> {
    const { inputs, outputs, table } = this.#edges
    const streams = [...inputs, ...outputs].map(({ topic }) => ({
      name: topic,
      kind: 'stream' as const,
      partitions,
    }))
    const tables = table === null ? [] : [{ name: table.topic, kind: 'table' as const, partitions }]
    await this.log.ensure([...streams, ...tables])
  }

  program(definition = this.#options.definition, runOptions = this.#options.options ?? options) {
    this.#versions += 1
    return createProgram(definition, this.#edges, runOptions, `v${this.#versions}`)
  }

  /** `untold`: what it has it is told by `assign`. */
  async start(own: readonly number[] | 'untold' = partitionNumbers): Promise<void> {
    this.#group = new Group({
      log: this.log,
      store: this.#edges.table === null ? null : this.#life.store(this.store),
      notes: this.notes,
      program: this.program(),
      progress: this.progress,
      flush: {
        intervalMs: 1,
        maxIntervalMs: 4,
        maxBytes: 1 << 20,
        maxUnfinished: 1_000,
        ...this.#options.flush,
      },
      cacheBytes: 4_096,
      maxRecordBytes: this.#options.maxRecordBytes ?? 1 << 20,
      attemptGraceMs: this.#options.attemptGraceMs ?? 5_000,
      tombstoneRetentionMs: 3_600_000,
      refreshMs: this.#options.refreshMs ?? null,
      cleanupDelayMs: this.#options.cleanupDelayMs ?? null,
      clock: this.#options.clock ?? systemClock,
      events: {
        recovering: (partition) => this.states.push(`recovering ${partition}`),
        progressed: (...told) => this.progressions.push(told),
        recovered: () => {},
        running: (partition) => this.states.push(`running ${partition}`),
        fenced: (partition) => this.states.push(`fenced ${partition}`),
        halted: (reason) => this.halts.push(reason),
        waiting: (whatFor) => this.waits.push([...whatFor]),
        standby: (partition, state) => this.states.push(`${state} ${partition} as a standby`),
        wiping: async (partition) => void this.states.push(`wiping ${partition}`),
        dropped: (partition) => this.states.push(`dropped ${partition}`),
        cutOff: (error) => this.states.push(error === undefined ? 'caught up' : 'cut off'),
        resumed: () => this.states.push('resumed'),
        skipped: (failure) => this.skips.push(failure),
        detached: (partition) => this.states.push(`detached ${partition}`),
        warned: (message) => this.warnings.push(message),
        log: () => {
          const write = (message: string) => void this.logged.push(message)
          return { debug: write, info: write, warn: write, error: write }
        },
      },
    })
    await this.#group.start(own === 'untold' ? undefined : own)
  }

  /** As a thread that was ended leaves it: nothing is flushed, writes under way come to their end. */
  async crash(): Promise<void> {
    const group = this.#group
    this.#group = undefined
    await group?.[Symbol.asyncDispose]()
  }

  /** As a killed process leaves it: the log may hold what the store never got. */
  async kill(): Promise<void> {
    this.#life.end()
    this.#life = new Life()
    await this.crash()
  }

  get isRunning(): boolean {
    return this.#group !== undefined
  }

  async drain(): Promise<void> {
    const group = this.#group
    this.#group = undefined
    await group?.drain()
  }

  async emit(stream: string, key: string, value: unknown, more: Partial<RecordToAppend> = {}) {
    const keyBytes = Buffer.from(key)
    await this.log.append([
      {
        topic: stream,
        partition: partitionOf(keyBytes, partitions, 'murmur2'),
        key: keyBytes,
        value: value === null ? null : Buffer.from(JSON.stringify(value)),
        timestamp: 1_000,
        ...more,
      },
    ])
  }

  /** Waits until every record that is in the inputs is handled and stored. */
  async settled(): Promise<void> {
    // A transaction that is still open hides the records behind it.
    await this.log.quiet()
    await until(
      'all is handled',
      () =>
        this.group.isIdle &&
        this.#edges.inputs.every(({ topic }, input) =>
          partitionNumbers.every(
            (partition) =>
              this.progress.position(partition, input) >= this.log.stableEnd(topic, partition),
          ),
        ),
    )
  }

  value(key: string): unknown {
    const bytes = Buffer.from(key)
    const found = this.store.partition(partitionOf(bytes, partitions, 'murmur2')).get(bytes)
    return found === undefined ? undefined : JSON.parse(found.toString())
  }

  /** The committed records of a stream, by partition, in order. */
  records(topic: string): LogRecord[] {
    return partitionNumbers.flatMap((partition) => this.log.records(topic, partition))
  }

  /** What the changelog says the table is. */
  changelog(): Map<string, unknown> {
    const table = new Map<string, unknown>()
    for (const { key, value } of this.records(this.#edges.table?.topic ?? '')) {
      if (value === null) table.delete(String(key))
      else table.set(String(key), JSON.parse(value.toString()))
    }
    return table
  }

  async end(): Promise<void> {
    await this.crash()
    await this.log[Symbol.asyncDispose]()
  }
}

export const jsonOf = (record: LogRecord): unknown => JSON.parse(String(record.value))

/** Its topics are there, and it ends with the tests of the file. */
export async function harness(given: HarnessOptions): Promise<Harness> {
  const made = new Harness(given)
  t.teardown(() => made.end())
  await made.prepare()
  return made
}

/** The usual options, with so many keys at once. */
export const at = (concurrency: number, more: Partial<RunOptions> = {}): RunOptions => ({
  ...options,
  concurrency,
  ...more,
})
