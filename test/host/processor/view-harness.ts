// A view over the memory log and store, in this thread, and the table that it reads as others write it.
import { string } from 'millrace'
import type { HostError } from '#host/errors.js'
import { createMemoryLog, type MemoryFaults } from '#host/log/memory/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { Clock } from '#host/processor/clock.js'
import type { HaltReason } from '#host/processor/group.js'
import { Progress } from '#host/processor/progress.js'
import { ViewGroup } from '#host/processor/view-group.js'
import { createViewProgram, type RunnableView } from '#host/processor/view-program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { TableStore } from '#host/tables/store.js'
import { until } from '../../support/until.js'
import { fastClock, partitions, edges as processorEdges } from './harness.js'

export const topic = 'shop.prices'
const edges = {
  ...processorEdges,
  function: 'prices',
  inputs: [{ stream: topic, topic }],
  outputs: [],
  table: { topic },
}
export const numbers = Array.from({ length: partitions }, (_, partition) => partition)
export const asIs: RunnableView = { codec: string }

export class ViewHarness {
  readonly log
  readonly progress = Progress.allocate(partitions, 1)
  readonly states: string[] = []
  readonly halts: HaltReason[] = []
  readonly warnings: string[] = []
  readonly waits: (readonly string[])[] = []
  readonly lines: string[] = []
  store: TableStore = createMemoryStore()
  /** Called when it says that it waits for something, or for nothing more. */
  waiting: (whatFor: readonly string[]) => void = () => {}
  #group: ViewGroup | undefined
  #versions = 0

  clock: Clock = fastClock
  /** Asked at each read, which fails with what it gives. */
  failing: () => HostError | undefined = () => undefined

  constructor(seed = 1, faults: MemoryFaults = {}) {
    this.log = createMemoryLog({ seed, faults })
    const reader = this.log.reader.bind(this.log)
    this.log.reader = (options) => {
      const real = reader(options)
      const next = real.next.bind(real)
      real.next = async () => {
        const batches = await next()
        const error = this.failing()
        if (error !== undefined) throw error
        return batches
      }
      return real
    }
  }

  get group(): ViewGroup {
    if (this.#group === undefined) throw new Error('no view runs')
    return this.#group
  }

  program(definition = asIs) {
    this.#versions += 1
    const version = `v${this.#versions}`
    const write = (message: string) => void this.lines.push(message)
    const log = () => ({ debug: write, info: write, warn: write, error: write })
    return createViewProgram({ definition, edges, version, log })
  }

  async prepare(count = partitions): Promise<void> {
    await this.log.ensure([{ name: topic, kind: 'table', partitions: count }])
  }

  async start(definition = asIs): Promise<void> {
    const { log, store, progress } = this
    this.#group = new ViewGroup({
      log,
      store,
      progress,
      program: this.program(definition),
      tombstoneRetentionMs: 3_600_000,
      refreshMs: 1_000,
      clock: this.clock,
      events: {
        recovering: (partition) => void this.states.push(`recovering ${partition}`),
        progressed: () => {},
        wiping: async () => {},
        running: (partition) => void this.states.push(`running ${partition}`),
        halted: (reason) => void this.halts.push(reason),
        resumed: () => void this.states.push('resumed'),
        detached: (partition) => void this.states.push(`detached ${partition}`),
        outdated: () => void this.states.push('outdated'),
        warned: (message) => void this.warnings.push(message),
        waiting: (whatFor) => {
          this.waits.push(whatFor)
          this.waiting(whatFor)
        },
      },
    })
    await this.#group.start(numbers)
  }

  async stop(how: 'crash' | 'drain' = 'drain'): Promise<void> {
    const group = this.#group
    this.#group = undefined
    await (how === 'drain' ? group?.drain() : group?.[Symbol.asyncDispose]())
  }

  async put(key: string, value: string | null): Promise<void> {
    await this.log.append([
      { topic, ...at(key), value: value === null ? null : Buffer.from(value), timestamp: 1 },
    ])
  }

  get(key: string): string | undefined {
    const { partition, key: bytes } = at(key)
    return this.store.partition(partition).get(bytes)?.toString()
  }

  async settled(): Promise<void> {
    await this.log.quiet()
    await until('all is stored', () =>
      numbers.every(
        (partition) => this.progress.position(partition, 0) >= this.log.stableEnd(topic, partition),
      ),
    )
  }
}

export const at = (text: string) => {
  const key = Buffer.from(text)
  return { key, partition: partitionOf(key, partitions, 'murmur2') }
}

export async function running(
  ...of: ConstructorParameters<typeof ViewHarness>
): Promise<ViewHarness> {
  const h = new ViewHarness(...of)
  await h.prepare()
  return h
}
