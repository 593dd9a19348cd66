// The catalog of the functions that the registry runs, as they are at the moment of asking.
import { type HostError, toPlainError } from '../errors.js'
import type { GroupPeer, Log, TopicInfo } from '../log/log.js'
import { settlesWithin } from '../within.js'
import type {
  Catalog,
  CodecRef,
  FunctionCondition,
  FunctionState,
  FunctionStatus,
  PartitionStatus,
  PlacedTopic,
  RecoveryStatus,
  ShownError,
  StreamEntry,
  TableEntry,
  Topology,
} from './catalog.js'
import type { Cell } from './cell.js'
import {
  type Bundle,
  type EdgeDescription,
  type FunctionDescription,
  groupOf,
} from './description.js'
import type { Entry } from './entries.js'
import { showError } from './failure.js'
import { RateMeter } from './rate-meter.js'
import type { Registry } from './registry.js'

export class LiveCatalog implements Catalog, Disposable {
  readonly #registry: Registry
  readonly #log: Log
  readonly #stalledMs: number
  readonly #problem: () => HostError | undefined
  readonly #rates: RateMeter
  /** As of the version that runs: each read asks. */
  readonly #tables = new WeakMap<Cell, TableEntry>()
  /** Told when the set of functions changes: one that is waited for may come, go, or be another. */
  readonly #listeners = new Set<{ readonly callback: () => void }>()

  /** `problem`: why the log takes nothing for now. `stalledMs`: a recovery that has not come further for so long stands still. */
  constructor(
    registry: Registry,
    log: Log,
    problem: () => HostError | undefined = () => undefined,
    stalledMs = 120_000,
  ) {
    this.#stalledMs = stalledMs
    this.#registry = registry
    this.#log = log
    this.#problem = problem
    this.#rates = new RateMeter(() =>
      this.#cells().map((cell): [string, number] => [cell.name, cell.records()]),
    )
    registry.onChange = () => {
      for (const { callback } of [...this.#listeners]) callback()
    }
  }

  [Symbol.dispose](): void {
    this.#rates[Symbol.dispose]()
  }

  stream(name: string): StreamEntry | undefined {
    const read: CodecRef[] = []
    const written: CodecRef[] = []
    const keys: FunctionDescription['keys'][] = []
    let found: Omit<PlacedTopic, 'name'> | undefined
    for (const cell of this.#cells()) {
      // What a view reads is a table, and nobody emits to it.
      if (cell.description.kind === 'view') continue
      const input = cell.description.inputs.find(({ stream }) => stream === name)
      if (input !== undefined) {
        found = placed(input, cell.edges.partitions)
        read.push(codecRef(cell, 'input', input))
        keys.push(cell.description.keys)
      }
      const output = cell.description.outputs.find(({ stream }) => stream === name)
      const edge = cell.edges.outputs.find(({ stream }) => stream === name)
      if (output !== undefined && edge !== undefined) {
        found ??= placed(edge, edge.partitions)
        written.push(codecRef(cell, 'output', output))
      }
    }
    return found === undefined
      ? undefined
      : { name, ...found, codecs: read.length > 0 ? read : written, keys }
  }

  table(name: string): TableEntry | undefined {
    const cell = this.#registry.entries.get(name)?.cell
    const view = cell?.view
    const table = cell?.description.table
    if (cell === undefined || view === undefined || !table) return undefined
    const { partitions, hasher } = cell.tablePlace
    const known = this.#tables.get(cell)
    const isSame = known?.partitions === partitions && known.hasher === hasher
    if (isSame && known.codec.version === cell.bundle.version) return known
    const entry: TableEntry = {
      name,
      function: cell.name,
      partitions,
      hasher,
      codec: {
        function: cell.name,
        version: cell.bundle.version,
        edge: { kind: 'table' },
        codec: table.codec,
      },
      view,
      isServing: (partition) => cell.isServing(partition),
      isOwned: (partition) => cell.isOwned(partition),
      isReplica: (partition) => cell.isReplica(partition),
      isStale: (partition) => cell.isStale(partition),
    }
    this.#tables.set(cell, entry)
    return entry
  }

  async functions(): Promise<readonly FunctionStatus[]> {
    const entries = [...this.#registry.entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return await Promise.all(entries.map((entry) => this.#status(entry)))
  }

  async function(name: string): Promise<FunctionStatus | undefined> {
    const entry = this.#registry.entries.get(name)
    return entry === undefined ? undefined : await this.#status(entry)
  }

  condition(name: string): FunctionCondition | undefined {
    const entry = this.#registry.entries.get(name)
    return entry === undefined ? undefined : this.#condition(entry)
  }

  problem(): HostError | undefined {
    return this.#problem()
  }

  states(): ReadonlyMap<string, FunctionState> {
    return new Map([...this.#registry.entries].map(([name, entry]) => [name, stateOf(entry)]))
  }

  descriptions(): readonly FunctionDescription[] {
    return this.#cells().map(({ description }) => description)
  }

  bundle(functionName: string): Bundle | undefined {
    return this.#registry.entries.get(functionName)?.cell?.bundle
  }

  position(functionName: string, topic: string, partition: number): number {
    return this.#registry.entries.get(functionName)?.cell?.reached(topic, partition) ?? 0
  }

  isOwned(functionName: string, partition: number): boolean {
    return this.#registry.entries.get(functionName)?.cell?.isOwned(partition) ?? false
  }

  members(functionName: string): readonly GroupPeer[] {
    return this.#registry.entries.get(functionName)?.cell?.members ?? nobody
  }

  onChange(functionName: string, callback: () => void): () => void {
    const listener = { callback }
    this.#listeners.add(listener)
    const { progress } = this.#registry.entries.get(functionName)?.cell ?? {}
    const takeBack = progress?.onChange(callback)
    return () => {
      this.#listeners.delete(listener)
      takeBack?.()
    }
  }

  async ends(topic: string): Promise<readonly number[]> {
    const info = (await this.#log.describe([topic])).get(topic)
    // A transaction that was committed just now may not be decided in each partition yet.
    return info?.partitions.map(({ end }) => end) ?? []
  }

  #shownProblem(): ShownError | null {
    const problem = this.#problem()
    return problem === undefined ? null : showError(toPlainError(problem), undefined)
  }

  topology(): Topology {
    const cells = this.#cells()
    const streams = new Map<string, Omit<PlacedTopic, 'name'>>()
    const edges: { from: string; to: string }[] = []
    for (const { name, description, edges: lines } of cells) {
      if (description.kind === 'view') {
        const [{ stream } = { stream: '' }] = description.inputs
        edges.push({ from: `table:${stream}`, to: `function:${name}` })
        edges.push({ from: `function:${name}`, to: `table:${name}` })
        continue
      }
      for (const input of description.inputs) {
        streams.set(input.stream, placed(input, lines.partitions))
        edges.push({ from: `stream:${input.stream}`, to: `function:${name}` })
      }
      for (const output of lines.outputs) {
        const { stream, partitions } = output
        streams.set(stream, streams.get(stream) ?? placed(output, partitions))
        edges.push({ from: `function:${name}`, to: `stream:${stream}` })
      }
      if (description.table !== null) {
        edges.push({ from: `function:${name}`, to: `table:${name}` })
      }
      for (const { stream } of [...description.joins, ...description.lookups]) {
        edges.push({ from: `table:${stream}`, to: `function:${name}` })
      }
      if (description.loop !== null) {
        edges.push({ from: `function:${name}`, to: `function:${name}` })
      }
    }
    return {
      functions: cells.map(({ name, state, description }) => ({
        name,
        kind: description.kind,
        group: groupOf(description),
        state,
        inputs: description.inputs.map(({ stream }) => stream),
        outputs: description.outputs.map(({ stream }) => stream),
        table: description.table === null ? null : name,
        loop: description.loop !== null,
        joins: description.joins.map(({ stream }) => stream),
        lookups: description.lookups.map(({ stream }) => stream),
      })),
      streams: [...streams].map(([name, place]) => ({ name, ...place })),
      tables: cells.flatMap(({ name, description: { table }, edges: { partitions } }) =>
        table === null ? [] : [{ name, ...placed(table, partitions) }],
      ),
      edges,
    }
  }

  #cells(): Cell[] {
    return [...this.#registry.entries.values()].flatMap(({ cell }) => cell ?? [])
  }

  #condition(entry: Entry): FunctionCondition {
    const { cell } = entry
    return {
      name: entry.name,
      kind: cell?.description.kind ?? null,
      state: stateOf(entry),
      version: cell?.bundle.version ?? null,
      waitingFor: cell?.waitingFor ?? [],
      error: entry.error ?? cell?.error ?? this.#shownProblem(),
      partitions: cell === undefined ? [] : partitionsOf(cell),
    }
  }

  async #status(entry: Entry): Promise<FunctionStatus> {
    const ends = await this.#ends(entry.cell)
    // All else is of one moment, after that: nobody is shown a version with the error, or the counts, of another.
    const { cell } = entry
    const condition = this.#condition(entry)
    const partitions = cell === undefined ? [] : this.#withInputs(cell, condition.partitions, ends)
    return {
      ...condition,
      file: cell?.bundle.file ?? entry.files[0] ?? '',
      partitions,
      lag: lagOf(partitions, condition.state),
      rates: { recordsPerSecond: this.#rates.perSecond(entry.name) },
      records: cell?.records() ?? 0,
      swaps: cell?.swaps ?? 0,
    }
  }

  /** Of what it reads, and of its table if it has a copy of that. */
  async #ends(cell: Cell | undefined): Promise<Ends> {
    if (cell === undefined) return noEnds
    const { inputs, table } = cell.edges
    const isCopied = partitionsOf(cell).some(({ state }) => state === 'standby')
    const read = isCopied && table !== null ? [...inputs, table] : inputs
    return await this.#topics(read.map(({ topic }) => topic))
  }

  #withInputs(
    cell: Cell,
    partitions: FunctionCondition['partitions'],
    ends: Ends,
  ): PartitionStatus[] {
    const { inputs: read, table } = cell.edges
    return partitions.map((of) => {
      const endOf = (topic = '') => ends.get(topic)?.partitions[of.partition]?.end ?? null
      if (of.state === 'standby') {
        return {
          ...of,
          inputs: [],
          recovery: this.#standby(cell, of.partition, endOf(table?.topic)),
        }
      }
      const inputs = read.map(({ stream, topic }) => {
        const position = cell.position(topic, of.partition)
        // What waits behind an open transaction is not handled yet either.
        const end = endOf(topic)
        return { stream, position, end, lag: end === null ? null : Math.max(0, end - position) }
      })
      return { ...of, inputs, recovery: cell.recovery(of.partition, this.#stalledMs) }
    })
  }

  /** How far the copy of a table has come. */
  #standby(cell: Cell, partition: number, end: number | null): RecoveryStatus {
    const recovery = cell.recovery(partition, this.#stalledMs)
    return recovery ?? { position: cell.copied(partition), end, stalled: false }
  }

  /** None of a log that is said to take nothing, or has not answered soon: where each input ends is not known then, and the rest is. */
  async #topics(names: readonly string[]): Promise<Ends> {
    if (this.#problem() !== undefined) return noEnds
    const described = this.#log.describe(names)
    if (!(await settlesWithin(described, describeMs))) return noEnds
    try {
      return await described
    } catch (error) {
      if (this.#problem() === undefined) throw error
      return noEnds
    }
  }
}

type Ends = ReadonlyMap<string, TopicInfo>

const noEnds: Ends = new Map()
const describeMs = 2_000
const nobody: readonly GroupPeer[] = []

/** Those that it has. */
function partitionsOf(cell: Cell): FunctionCondition['partitions'] {
  return Array.from({ length: cell.edges.partitions }, (_, partition) => partition).flatMap(
    (partition) => {
      const state = cell.partitionState(partition)
      if (state === undefined) return []
      // All partitions of a function that is paused or has halted are held, also those that could go on.
      const isHeld = state === 'running' && (cell.state === 'halted' || cell.state === 'paused')
      return [{ partition, state: isHeld ? cell.state : state }]
    },
  )
}

function lagOf(partitions: readonly PartitionStatus[], state: FunctionState): number | null {
  // One that has joined may have no share of its group; any other has not got it yet.
  if (partitions.length === 0 && state !== 'running' && state !== 'paused') return null
  return partitions
    .flatMap(({ inputs }) => inputs)
    .reduce<number | null>((sum, { lag }) => (sum === null || lag === null ? null : sum + lag), 0)
}

/** They pass by themselves: until then nobody is to take the function, its streams and its table for missing. */
const waitedFor: ReadonlySet<string> = new Set(['RECOVERING', 'BROKER_UNAVAILABLE'])

function stateOf({ cell, error }: Entry): FunctionState {
  if (cell !== undefined && cell.state !== 'stopped') return cell.state
  // Nothing runs: either it is being loaded, or waits for what others make or for brokers, or what was loaded was refused.
  return error === null || waitedFor.has(error.code) ? 'loading' : 'halted'
}

const placed = (
  { topic, hasher }: Pick<PlacedTopic, 'topic' | 'hasher'>,
  partitions: number,
): Omit<PlacedTopic, 'name'> => ({ partitions, topic, hasher })

function codecRef(cell: Cell, kind: 'input' | 'output', edge: EdgeDescription): CodecRef {
  return {
    function: cell.name,
    version: cell.bundle.version,
    edge: { kind, stream: edge.stream },
    codec: edge.codec,
  }
}
