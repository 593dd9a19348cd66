// The HTTP side on a memory log and memory tables, with a catalog whose positions the test moves by hand.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Hasher } from 'millrace'
import type { Test } from 'tap'
import type { Cluster } from '#host/cluster/cluster.js'
import { type Config, loadConfig } from '#host/config.js'
import { bundleFunction } from '#host/functions/bundle.js'
import type {
  Catalog,
  CodecRef,
  FunctionState,
  FunctionStatus,
  ShownError,
  StreamEntry,
  TableEntry,
} from '#host/functions/catalog.js'
import {
  type Bundle,
  type EdgeDescription,
  type FunctionDescription,
  noReplicas,
} from '#host/functions/description.js'
import type { VisitOrder } from '#host/functions/operation.js'
import { createApp } from '#host/http/app.js'
import type { HttpApp } from '#host/http/deps.js'
import { createGate, type Gate, type GateOptions } from '#host/http/gate.js'
import type { GroupPeer } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import { createLogger, type Logger } from '#host/logger.js'
import type { VisitReport } from '#host/processor/visiting.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { Change, PartitionMeta } from '#host/tables/store.js'
import { createTableView } from '#host/tables/view.js'
import { testFolder } from '../../support/folder.js'

export const partitions = 4

const meta: PartitionMeta = {
  layout: 2,
  changelog: { topic: 't', topicId: 'i', leaderEpoch: 0, next: 0 },
  appliedAt: 0,
  inputs: [],
}

export interface FakeFunction {
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs?: readonly string[]
  readonly state?: FunctionState
  readonly version?: string
  readonly error?: ShownError
}

export class FakeCatalog implements Catalog {
  readonly streams = new Map<string, StreamEntry>()
  readonly tables = new Map<string, TableEntry>()
  readonly bundles = new Map<string, Bundle>()
  fakes: FakeFunction[] = []
  /** `function topic/partition` to position. */
  readonly positions = new Map<string, number>()
  /** Partitions that recover. */
  readonly recovering = new Set<number>()
  /** Partitions that are another host's, perhaps. */
  readonly lost = new Set<number>()
  /** Functions whose groups it was told to ask for. */
  readonly heartbeats: string[] = []
  /** Tables that are views of others'; those that are cut off; and what was evicted. */
  readonly views = new Set<string>()
  readonly stale = new Set<string>()
  /** Of every function's group; replaced when it is shared out anew. */
  peers: readonly GroupPeer[] = []
  readonly evicted: [view: string, partition: number, key: string][] = []
  readonly log: MemoryLog
  /** How often somebody has registered for a change. */
  waits = 0
  readonly listeners = new Set<() => void>()

  constructor(log: MemoryLog) {
    this.log = log
  }

  stream(name: string) {
    return this.streams.get(name)
  }
  table(name: string) {
    return this.tables.get(name)
  }
  bundle(name: string) {
    return this.bundles.get(name)
  }
  descriptions(): FunctionDescription[] {
    const edge = (stream: string): EdgeDescription => ({
      stream,
      topic: stream,
      hasher: 'murmur2',
      codec: 'json',
    })
    return this.fakes.map(({ name, inputs, outputs = [] }) => ({
      kind: 'processor',
      name,
      group: name,
      hasher: 'murmur2',
      inputs: inputs.map(edge),
      outputs: outputs.map(edge),
      table: edge(name),
      loop: null,
      keys: null,
      store: 'level',
      visitors: [],
      joins: [],
      lookups: [],
      replicas: noReplicas,
      options: {
        onError: 'halt',
        retry: { attempts: 1, backoffMs: 1 },
        onDataLoss: 'halt',
        tombstones: 'ignore',
        concurrency: 1,
        delivery: 'exactly-once',
      },
    }))
  }
  problem() {
    return undefined
  }

  states() {
    return new Map(this.fakes.map(({ name, state = 'running' }) => [name, state]))
  }
  async functions(): Promise<FunctionStatus[]> {
    return this.fakes.map(({ name, state = 'running', version = 'v1', error = null }) => ({
      name,
      kind: 'processor',
      file: `/${name}.ts`,
      state,
      version,
      partitions: [],
      waitingFor: [],
      lag: 0,
      rates: { recordsPerSecond: 0 },
      records: 0,
      swaps: 0,
      error,
    }))
  }
  condition(name: string) {
    const fake = this.fakes.find((known) => known.name === name)
    if (fake === undefined) return undefined
    const { state = 'running', version = 'v1', error = null } = fake
    const kind = 'processor' as const
    return { name, kind, state, version, waitingFor: [], error, partitions: [] }
  }
  async function(name: string) {
    return (await this.functions()).find((status) => status.name === name)
  }
  topology() {
    const named = (names: Iterable<string>) =>
      [...names].map((name) => ({ name, partitions, topic: name, hasher: 'murmur2' as const }))
    return {
      functions: this.fakes.map(({ name, inputs, outputs = [] }) => ({
        name,
        kind: 'processor' as const,
        group: name,
        state: 'running' as const,
        inputs,
        outputs,
        table: name,
        loop: false,
        joins: [],
        lookups: [],
      })),
      streams: named(this.streams.keys()),
      tables: named(this.tables.keys()),
      edges: this.fakes.map(({ name }) => ({ from: `function:${name}`, to: `table:${name}` })),
    }
  }
  position(name: string, topic: string, partition: number) {
    if (this.recovering.has(partition) || !this.isOwned(name, partition)) return 0
    return this.positions.get(`${name} ${topic}/${partition}`) ?? 0
  }
  isOwned(name: string, partition: number) {
    return this.tables.get(name)?.isOwned(partition) ?? !this.lost.has(partition)
  }
  members() {
    return this.peers
  }
  onChange(_: string, callback: () => void) {
    this.waits++
    const listener = () => callback()
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }
  async ends(topic: string) {
    const info = (await this.log.describe([topic])).get(topic)
    return info?.partitions.map(({ stableEnd }) => stableEnd) ?? []
  }

  /** Moves a position and tells those who wait. */
  move(name: string, topic: string, partition: number, position: number) {
    this.positions.set(`${name} ${topic}/${partition}`, position)
    this.announce()
  }
  /** To the ends of the topic. */
  async catchUp(name: string, topic: string) {
    for (const [partition, end] of (await this.ends(topic)).entries()) {
      this.positions.set(`${name} ${topic}/${partition}`, end)
    }
    this.announce()
  }
  announce() {
    for (const listener of [...this.listeners]) listener()
  }
}

export interface Fixture {
  readonly app: HttpApp
  readonly catalog: FakeCatalog
  readonly log: MemoryLog
  readonly gate: Gate
  readonly config: Config
  readonly logger: Logger
  readonly lines: string[]
  readonly stopping: AbortController
  stream(name: string, ...codecs: readonly Partial<CodecRef>[]): Promise<void>
  table(
    name: string,
    codec: Partial<CodecRef>,
    values?: Readonly<Record<string, string | Buffer>>,
  ): Promise<void>
  /** Bundles a function file for the gate. */
  file(name: string, source: string): Promise<Bundle>
  /** All records of a topic by offset, partition by partition. */
  records(topic: string): { key: string | undefined; value: string | null; headers: string[] }[]
}

export interface FixtureOptions {
  readonly cluster?: Cluster
  /** That several share. */
  readonly log?: MemoryLog
  readonly env?: Readonly<Record<string, string>>
  readonly gate?: (options: GateOptions) => Gate
  /** Of all streams and tables. */
  readonly hasher?: Hasher
  /** What becomes of a visit of any function. */
  readonly visit?: (order: VisitOrder) => Promise<VisitReport>
}

const noVisit = async () => ({ visited: 0, failed: 0, vanished: 0, partitions: [] })

export function createFixture(
  t: Test,
  {
    env = {},
    gate: wrap = createGate,
    hasher = 'murmur2',
    visit = noVisit,
    cluster,
    log = createMemoryLog(),
  }: FixtureOptions = {},
): Fixture {
  const root = testFolder(t)
  const config = loadConfig({ root, env })
  const catalog = new FakeCatalog(log)
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    format: 'json',
    stream: { write: (text) => lines.push(text) },
  })
  const gate = wrap({
    bundle: (name) => catalog.bundle(name),
    gateMs: config.limits.gateMs,
    loadMs: config.limits.loadMs,
    maxWaiting: config.limits.maxWaiting,
    logger,
  })
  const stopping = new AbortController()
  t.teardown(async () => {
    await gate[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  const ref = (stream: string, codec: Partial<CodecRef>): CodecRef => ({
    function: 'f',
    version: 'v1',
    edge: { kind: 'input', stream },
    codec: 'json',
    ...codec,
  })
  return {
    app: createApp({
      catalog,
      operator: {
        async operate(name, operation) {
          const fake = catalog.fakes.find((known) => known.name === name)
          if (fake === undefined) return undefined
          const rest = catalog.fakes.filter((known) => known !== fake)
          catalog.fakes = [
            ...rest,
            { ...fake, state: operation === 'pause' ? 'paused' : 'running' },
          ]
          return 'here'
        },
        async reset(name) {
          const isKnown = catalog.fakes.some((known) => known.name === name)
          return isKnown ? { topics: [`${name}-table`], positions: 2, asked: 'here' } : undefined
        },
        async visit(name, order) {
          const isKnown = catalog.fakes.some((known) => known.name === name)
          return isKnown ? await visit(order) : undefined
        },
        async evict(name, partition, key) {
          if (!catalog.views.has(name)) return false
          catalog.evicted.push([name, partition, key.toString()])
          return true
        },
        heartbeat: (name) => void catalog.heartbeats.push(name),
      },
      log,
      gate,
      config,
      logger,
      cluster,
      stopping: stopping.signal,
    }),
    catalog,
    log,
    gate,
    config,
    logger,
    lines,
    stopping,
    async stream(name, ...codecs) {
      await log.ensure([{ name, kind: 'stream', partitions }])
      catalog.streams.set(name, {
        name,
        topic: name,
        partitions,
        hasher,
        keys: [],
        codecs: (codecs.length === 0 ? [{}] : codecs).map((codec) => ref(name, codec)),
      })
    },
    async table(name, codec, values = {}) {
      const store = createMemoryStore()
      const changes = new Map<number, Change[]>()
      for (const [text, value] of Object.entries(values)) {
        const key = Buffer.from(text)
        const partition = partitionOf(key, partitions, hasher)
        changes.set(partition, [...(changes.get(partition) ?? []), [key, Buffer.from(value)]])
      }
      for (const [partition, list] of changes) await store.partition(partition).write(list, meta)
      catalog.tables.set(name, {
        name,
        function: name,
        partitions,
        hasher,
        codec: { ...ref(name, codec), function: name, edge: { kind: 'table' }, ...codec },
        view: createTableView(store, partitions),
        isServing: (partition) => !catalog.recovering.has(partition),
        isOwned: (partition) => !catalog.lost.has(partition),
        isReplica: () => false,
        isStale: () => catalog.stale.has(name),
      })
    },
    async file(name, source) {
      mkdirSync(join(root, 'functions'), { recursive: true })
      const file = join(root, 'functions', `${name}.ts`)
      writeFileSync(file, source)
      const bundle = await bundleFunction({ file, name, root })
      catalog.bundles.set(name, bundle)
      return bundle
    },
    records: (topic) =>
      Array.from({ length: partitions }, (_, partition) => log.records(topic, partition))
        .flat()
        .map(({ key, value, headers }) => ({
          key: key?.toString(),
          value: value === null ? null : value.toString(),
          headers: headers.map(([name, text]) => `${name}=${text.toString()}`),
        })),
  }
}

/** What an answer says, for matching. */
export async function said(response: Response | Promise<Response>) {
  const { status, headers } = await response
  const text = await (await response).text()
  const isJson = headers.get('content-type') === 'application/json'
  return {
    status,
    headers,
    text,
    body: isJson && text !== '' ? (JSON.parse(text) as unknown) : undefined,
  }
}
