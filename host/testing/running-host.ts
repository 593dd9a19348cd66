// The functions of a test, run as the host runs them, in the caller's thread: a log and tables in memory, and time that stands still.
import type { AnyCodec } from '../../sdk/codec.js'
import type { EmitOptions } from '../../sdk/context.js'
import { HostError } from '../errors.js'
import { isView, storedTable } from '../functions/definition.js'
import { createMemoryLog, type MemoryLog } from '../log/memory/log.js'
import { Random } from '../log/memory/random.js'
import { turn } from '../turn.js'
import { VirtualClock } from './clock.js'
import type {
  Definition,
  Definitions,
  Emitted,
  EmittedKey,
  FunctionName,
  Received,
  ReceivedKey,
  StreamName,
  TableKey,
  TableName,
  TableValue,
} from './edges.js'
import { Emitter, type KnownStream } from './emitter.js'
import { type Described, type ForeignTable, foreignTables } from './foreign-tables.js'
import { HostedFunction } from './hosted-function.js'
import { keysOfCodec } from './keys.js'
import { describe, functionName, known, refuseConflicts } from './names.js'
import { type Settings, settingsOf, type TestHostOptions } from './options.js'
import { Pace } from './pace.js'
import type { FunctionStatus } from './status.js'
import { StreamOfRecords, type TestStream } from './stream.js'
import { createTestTable, type TestTable } from './table.js'
import type { EmittedRecord, TestHost, VisitedKeys } from './test-host.js'

/**
 * Runs functions for a test: no server, no files, no threads, no waiting.
 *
 * Throws a `TypeError` for names that no function can have, and for definitions that the host would refuse.
 *
 * @example
 * await using host = await testHost({ clickCount, alerts }, { seed: 7, faults: true })
 */
export async function testHost<const D extends Definitions>(
  definitions: D,
  options: TestHostOptions = {},
): Promise<TestHost<D>> {
  return await RunningHost.start(definitions, settingsOf(options))
}

class RunningHost<D extends Definitions> implements TestHost<D> {
  readonly seed: number
  readonly #settings: Settings
  readonly #clock: VirtualClock
  readonly #pace: Pace
  readonly #log: MemoryLog
  readonly #random: Random
  readonly #functions = new Map<string, HostedFunction>()
  readonly #tables = new Map<string, TestTable<unknown, unknown>>()
  readonly #streams = new Map<string, StreamOfRecords>()
  /** Who reads and writes them, by the definitions that run: looked for anew after a swap. */
  readonly #known = new Map<string, KnownStream>()
  readonly #emitter: Emitter

  private constructor(settings: Settings) {
    const { seed, faults, startTime, timeoutMs } = settings
    this.seed = seed
    this.#settings = settings
    this.#random = new Random(seed)
    const clock = new VirtualClock(startTime)
    this.#clock = clock
    const log = createMemoryLog({ seed, faults, clock: () => clock.wallTime() })
    this.#log = log
    this.#emitter = new Emitter({ log, settings, now: () => clock.wallTime() })
    this.#pace = new Pace({
      clock,
      timeoutMs,
      isQuiet: () => log.isQuiet && this.#all((each) => each.isQuiet),
      isUserCodeDone: () => this.#all((each) => each.isUserCodeDone),
    })
  }

  static async start<D extends Definitions>(
    definitions: D,
    settings: Settings,
  ): Promise<RunningHost<D>> {
    const host = new RunningHost<D>(settings)
    const { namespace } = settings
    const named = new Map<string, Definition>()
    for (const [key, definition] of Object.entries(definitions)) {
      const name = functionName(key)
      if (named.has(name)) throw new TypeError(`two functions have the name ${name}`)
      named.set(name, definition)
    }
    const described = [...named].map(([name, definition]) => ({
      definition,
      description: describe(definition, name, namespace),
    }))
    refuseConflicts(described.map(({ description }) => description))
    await host.#makeForeign(described)
    // Views last: what they read is made by then.
    const viewsLast = (one: Described) => (one.description.kind === 'view' ? 1 : 0)
    for (const each of described.toSorted((a, b) => viewsLast(a) - viewsLast(b))) {
      const made = await HostedFunction.create({
        ...each,
        log: host.#log,
        pace: host.#pace,
        settings,
      })
      host.#functions.set(made.name, made)
    }
    try {
      await host.#startAll()
    } catch (error) {
      await host[Symbol.asyncDispose]()
      throw error
    }
    return host
  }

  async emit<Stream extends StreamName<D>>(
    stream: Stream,
    key: EmittedKey<D, Stream>,
    value: Emitted<D, Stream> | null,
    options: EmitOptions = {},
  ): Promise<EmittedRecord> {
    return await this.#emitter.emit(this.#stream(stream), key, value, options)
  }

  table<Name extends TableName<D>>(name: Name): TestTable<TableValue<D, Name>, TableKey<D, Name>>
  table(name: string): TestTable<unknown, unknown> {
    const all = [...this.#functions.values()].filter(({ definition }) => definition.table)
    const names = all.map((each) => each.name)
    const owner = known(
      all.find((each) => each.name === functionName(name)),
      'table',
      name,
      names,
    )
    const found = this.#tables.get(owner.name)
    if (found !== undefined) return found
    const { partitions } = this.#settings
    const made = createTestTable(() => {
      const { store, definition, description } = owner
      const codec = tableIn(definition)
      if (codec === undefined) throw new TypeError(`${owner.name} has no table any more`)
      const keys = isView(definition) ? undefined : definition.keys
      return { store, codec, keys, partitions, hasher: description.hasher }
    })
    this.#tables.set(owner.name, made)
    return made
  }

  foreignTable(name: string): ForeignTable {
    const all = [...foreignTables([...this.#functions.values()]).values()]
    const names = all.map((table) => table.name)
    const table = known(
      all.find((each) => each.names.has(name)),
      'table of others',
      name,
      names,
    )
    const write = async (key: unknown, value: unknown, options: EmitOptions = {}) =>
      void (await this.#emitter.emit(table, key, value, options))
    return {
      set: (key, value, options) => write(key, value, options),
      delete: (key, options) => write(key, null, options),
    }
  }

  stream<Stream extends StreamName<D>>(
    stream: Stream,
  ): TestStream<Received<D, Stream>, ReceivedKey<D, Stream>>
  stream(name: string): TestStream<unknown, unknown> {
    const { topic } = this.#stream(name)
    const found = this.#streams.get(name)
    if (found !== undefined) return found
    const made = new StreamOfRecords({
      name,
      arrivals: () => this.#log.arrivals(topic),
      codecs: () => {
        const { readers, writers } = this.#stream(name)
        return [...writers, ...readers]
      },
      keys: () => this.#stream(name).keys,
      rest: () => this.#rest(),
      check: () => this.#check(),
    })
    this.#streams.set(name, made)
    return made
  }

  function(name: FunctionName<D>): FunctionStatus {
    return this.#function(name)
  }

  async visit(name: FunctionName<D>, visitor: string, argument?: unknown): Promise<VisitedKeys> {
    return await this.#function(name).visit(visitor, argument)
  }

  async settled(): Promise<void> {
    await this.#rest()
    this.#check()
  }

  now(): number {
    return this.#clock.wallTime()
  }

  async advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`time does not move by ${ms} ms`)
    await this.#pace.advance(ms, () => this.#unrest())
  }

  async crash({ store = 'kept' }: { readonly store?: 'kept' | 'lost' } = {}): Promise<void> {
    for (let turns = this.#random.upTo(4); turns > 1; turns -= 1) await turn()
    const all = [...this.#functions.values()]
    await Promise.all(all.map((each) => each.crash()))
    if (store === 'lost') await Promise.all(all.map((each) => each.loseStore()))
    await this.#startAll()
  }

  async rebalance({ lost = false }: { readonly lost?: boolean } = {}): Promise<void> {
    const all = [...this.#functions.values()]
    await Promise.all(all.map((each) => (lost ? each.fence() : each.drain())))
    await this.#startAll()
  }

  async swap(definitions: { readonly [Name in keyof D]?: Definition }): Promise<void> {
    const { namespace } = this.#settings
    const swaps = Object.entries<Definition | undefined>(definitions).map(([key, definition]) => {
      const running = this.#function(key)
      return () => {
        const description = describe(definition, running.name, namespace)
        return { running, definition, description }
      }
    })
    // All are checked before the first is swapped.
    const checked = swaps.map((check) => check())
    const others = [...this.#functions.values()].filter(
      (each) => !checked.some(({ running }) => running === each),
    )
    refuseConflicts([...others, ...checked].map(({ description }) => description))
    await this.#makeForeign([
      ...others,
      ...checked.flatMap(({ definition, description }) =>
        definition === undefined ? [] : [{ definition, description }],
      ),
    ])
    for (const { running, definition, description } of checked) {
      if (definition !== undefined) await running.swap(definition, description)
      this.#known.clear()
    }
  }

  async pause(name: FunctionName<D>): Promise<void> {
    await this.#function(name).pause()
  }

  resume(name: FunctionName<D>): void {
    this.#function(name).resume()
  }

  async close(): Promise<void> {
    await this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#functions.values()].map((each) => each.end()))
    await this.#log[Symbol.asyncDispose]()
  }

  /** Their writers would have made them. */
  async #makeForeign(functions: readonly Described[]): Promise<void> {
    const { partitions } = this.#settings
    const topics = [...foreignTables(functions).keys()]
    await this.#log.ensure(topics.map((name) => ({ name, kind: 'table', partitions })))
  }

  async #startAll(): Promise<void> {
    await Promise.all([...this.#functions.values()].map((each) => each.start()))
  }

  async #rest(): Promise<void> {
    await this.#pace.until(
      () => this.#emitter.isDone && this.#all((each) => each.isAtRest),
      () => this.#unrest(),
    )
  }

  #check(): void {
    const [first, ...others] = [...this.#functions.values()].flatMap(({ error }) => error ?? [])
    if (first === undefined) return
    const seed = this.#isRough ? ` (seed ${this.seed})` : ''
    const more = others.map(({ message }) => `; ${message}`).join('')
    throw new HostError(first.code, `${first.message}${seed}${more}`, {
      ...(first.function === undefined ? {} : { function: first.function }),
      ...(first.stream === undefined ? {} : { stream: first.stream }),
      ...(first.partition === undefined ? {} : { partition: first.partition }),
      ...(first.offset === undefined ? {} : { offset: first.offset }),
      cause: first.cause,
    })
  }

  get #isRough(): boolean {
    return Object.keys(this.#settings.faults).length > 0
  }

  #unrest(): string {
    const busy = [...this.#functions.values()]
      .filter((each) => !each.isAtRest)
      .map(({ name, state, lag, isUserCodeDone }) => {
        const what = isUserCodeDone ? '' : ', a handler has not ended'
        return `${name} is ${state}, ${lag} behind${what}`
      })
    return `${busy.join('; ')}${this.#isRough ? ` (seed ${this.seed})` : ''}`
  }

  #all(is: (each: HostedFunction) => boolean): boolean {
    for (const each of this.#functions.values()) if (!is(each)) return false
    return true
  }

  #function(name: string): HostedFunction {
    return known(this.#functions.get(functionName(name)), 'function', name, [
      ...this.#functions.keys(),
    ])
  }

  #stream(name: string): KnownStream {
    const found = this.#known.get(name) ?? this.#findStream(name)
    this.#known.set(name, found)
    return found
  }

  #findStream(name: string): KnownStream {
    const functions = [...this.#functions.values()]
    const all = functions.flatMap(({ definition }) => (isView(definition) ? [] : definition))
    const edges = functions.flatMap(({ description: { kind, inputs, outputs } }) =>
      kind === 'view' ? [] : [inputs, outputs],
    )
    const streams = [...new Set(edges.flat().map(({ stream }) => stream))]
    const edge = edges.flat().find(({ stream }) => stream === name)
    const { topic, hasher } = known(edge, 'stream', name, streams)
    const readers = all.flatMap(({ inputs }) => own(inputs, name))
    const writers = all.flatMap(({ outputs = {} }) => own(outputs, name))
    const reading = all.flatMap(({ inputs, keys }) => (Object.hasOwn(inputs, name) ? [keys] : []))
    const writing = writers.map(keysOfCodec)
    const keys = readers.length > 0 ? reading : writing
    return { name, topic, hasher, readers, writers, keys }
  }
}

/** A processor may have none. */
const tableIn = (definition: Definition): AnyCodec | undefined => storedTable(definition).table

const own = (codecs: Readonly<Record<string, AnyCodec>>, name: string): AnyCodec[] => {
  const codec = Object.hasOwn(codecs, name) ? codecs[name] : undefined
  return codec === undefined ? [] : [codec]
}
