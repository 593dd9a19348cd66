// A function's tasks on the memory log and store, in this thread: what they did can be compared with what was emitted.
import type { LogRecord, RecordToAppend } from '#host/log/log.js'
import { createMemoryLog, type MemoryFaults, type MemoryLog } from '#host/log/memory/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import { type Clock, systemClock } from '#host/processor/clock.js'
import { Group, type HaltReason } from '#host/processor/group.js'
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
import { until } from '../../support/until.js'

export const partitions = 3

export const edges: Edges = {
  function: 'sum',
  group: 'sum',
  partitions,
  inputs: [{ stream: 'numbers', topic: 'numbers' }],
  outputs: [{ stream: 'sums', topic: 'sums', partitions }],
  table: { topic: 'sum-table' },
  loop: null,
}

export const options: RunOptions = {
  onError: 'halt',
  retry: { attempts: 3, backoffMs: 1 },
  tombstones: 'ignore',
  concurrency: 1,
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
  readonly clock?: Clock
}

/** Pauses pass fifty times as fast. */
export const fastClock: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(ms / 50, callback),
}

export class Harness {
  readonly log: MemoryLog
  readonly progress: Progress
  readonly halts: HaltReason[] = []
  readonly skips: RecordFailure[] = []
  readonly warnings: string[] = []
  readonly logged: string[] = []
  readonly states: string[] = []
  store: TableStore = createMemoryStore()
  readonly #options: HarnessOptions
  readonly #edges: Edges
  #group: Group | undefined
  #versions = 0
  #life = 0

  constructor(given: HarnessOptions) {
    this.#options = given
    this.#edges = given.edges ?? edges
    this.log = createMemoryLog({ seed: given.seed ?? 1, faults: given.faults ?? {} })
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

  async start(): Promise<void> {
    this.#group = new Group({
      log: this.log,
      store: this.#edges.table === null ? null : this.#mortal(this.store),
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
      clock: this.#options.clock ?? systemClock,
      events: {
        recovering: (partition) => this.states.push(`recovering ${partition}`),
        running: (partition) => this.states.push(`running ${partition}`),
        fenced: (partition) => this.states.push(`fenced ${partition}`),
        halted: (reason) => this.halts.push(reason),
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
    await this.#group.start(Array.from({ length: partitions }, (_, partition) => partition))
  }

  /** As a thread that was ended leaves it: nothing is flushed, writes under way come to their end. */
  async crash(): Promise<void> {
    const group = this.#group
    this.#group = undefined
    await group?.[Symbol.asyncDispose]()
  }

  /** As a killed process leaves it: the log may hold what the store never got. */
  async kill(): Promise<void> {
    this.#life += 1
    await this.crash()
  }

  async drain(): Promise<void> {
    const group = this.#group
    this.#group = undefined
    await group?.drain()
  }

  #mortal(store: TableStore): TableStore {
    const life = this.#life
    return {
      partition: (number) => {
        const inner = store.partition(number)
        return {
          get: (key) => inner.get(key),
          meta: () => inner.meta(),
          wipe: () => inner.wipe(),
          range: (bounds) => inner.range(bounds),
          write: async (changes, meta) => {
            if (this.#life !== life) throw new Error('the process is dead')
            await inner.write(changes, meta)
          },
        }
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  }

  async emit(stream: string, key: string, value: unknown, more: Partial<RecordToAppend> = {}) {
    const keyBytes = Buffer.from(key)
    await this.log.append([
      {
        topic: stream,
        partition: partitionOf(keyBytes, partitions),
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
    await until('all is handled', async () => {
      const topics = await this.log.describe(this.#edges.inputs.map(({ topic }) => topic))
      return (
        this.group.isIdle &&
        this.#edges.inputs.every(({ topic }, input) =>
          topics
            .get(topic)
            ?.partitions.every(
              ({ partition, stableEnd }) => this.progress.position(partition, input) >= stableEnd,
            ),
        )
      )
    })
  }

  value(key: string): unknown {
    const bytes = Buffer.from(key)
    const found = this.store.partition(partitionOf(bytes, partitions)).get(bytes)
    return found === undefined ? undefined : JSON.parse(found.toString())
  }

  /** The committed records of a stream, by partition, in order. */
  records(topic: string): LogRecord[] {
    return Array.from({ length: partitions }, (_, partition) =>
      this.log.records(topic, partition),
    ).flat()
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
