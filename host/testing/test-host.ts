// The functions of a test, run as the host runs them, in the caller's thread: a log and tables in memory, and time that stands still.
import type { AnyCodec } from '../../sdk/codec.js'
import type { EmitOptions } from '../../sdk/context.js'
import type { ProcessorDefinition } from '../../sdk/define.js'
import { HostError } from '../errors.js'
import { headerProblem } from '../log/limits.js'
import type { Header, RecordToAppend } from '../log/log.js'
import { createMemoryLog, type MemoryLog } from '../log/memory/log.js'
import { Random } from '../log/memory/random.js'
import { partitionOf } from '../log/partitioner.js'
import { checkRecord } from '../log/problems.js'
import { turn } from '../turn.js'
import { VirtualClock } from './clock.js'
import type {
  Definitions,
  Emitted,
  FunctionName,
  Received,
  StreamName,
  TableName,
  TableValue,
} from './edges.js'
import { type FunctionStatus, HostedFunction } from './hosted-function.js'
import { describe, functionName, known } from './names.js'
import { type Settings, settingsOf, type TestHostOptions } from './options.js'
import { Pace } from './pace.js'
import { StreamOfRecords, type TestStream } from './stream.js'
import { createTestTable, type TestTable } from './table.js'

/** Where an emitted record lies. */
export interface EmittedRecord {
  readonly stream: string
  readonly partition: number
  readonly offset: number
}

/**
 * A host with the functions of a test. Names are those of the definitions that it was given: `click-count`, or `clickCount`.
 *
 * @example
 * await using host = await testHost({ clickCount })
 * await host.emit('clicks', 'alice', { page: '/home' })
 * await host.settled()
 * host.table('clickCount').get('alice') // { count: 1 }
 */
export interface TestHost<D extends Definitions> extends AsyncDisposable {
  readonly seed: number
  /** Appends a record, as a client would; resolves when the log has it. `null` is a tombstone. Default timestamp: `now()`. */
  emit<Stream extends StreamName<D>>(
    stream: Stream,
    key: string,
    value: Emitted<D, Stream> | null,
    options?: EmitOptions,
  ): Promise<EmittedRecord>
  table<Name extends TableName<D>>(name: Name): TestTable<TableValue<D, Name>>
  /** The same object each time, so that `next` goes on where it was. */
  stream<Stream extends StreamName<D>>(stream: Stream): TestStream<Received<D, Stream>>
  function(name: FunctionName<D>): FunctionStatus
  /**
   * Resolves when each input and loop is read to its end, and no attempt, retry or flush is pending. Time moves as far as these
   * wait for it. Rejects if a function has halted, with its error as the cause. A paused function is not waited for.
   */
  settled(): Promise<void>
  /** Virtual time, in milliseconds since 1970. It stands still but for `advance`, and for retries and flushes that are waited for. */
  now(): number
  /** Moves time; what falls due on the way happens at its time. */
  advance(ms: number): Promise<void>
  /**
   * Kills the host as `kill -9` would, at a moment that the seed chooses, and starts it again: what was not flushed is handled
   * anew. Tables keep their local store unless it is lost, too; then they come back from the log.
   */
  crash(options?: { readonly store?: 'kept' | 'lost' }): Promise<void>
  /** All partitions are given up after a flush, and taken again. `lost`: without a flush, another owner has fenced them. */
  rebalance(options?: { readonly lost?: boolean }): Promise<void>
  /** Puts other definitions in the place of running ones, as a save would. A function that has halted goes on at its record. */
  swap(definitions: { readonly [Name in keyof D]?: ProcessorDefinition }): Promise<void>
  /** At a record boundary, after a flush. */
  pause(name: FunctionName<D>): Promise<void>
  /** After `pause`, or after the function has halted: it goes on at its record. */
  resume(name: FunctionName<D>): void
  /** For those who have no `await using`. Nothing is flushed. */
  close(): Promise<void>
}

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
  readonly #tables = new Map<string, TestTable<unknown>>()
  readonly #streams = new Map<string, StreamOfRecords>()
  #emits = 0
  #lastEmit: Promise<void> = Promise.resolve()

  private constructor(settings: Settings) {
    const { seed, faults, startTime, timeoutMs } = settings
    this.seed = seed
    this.#settings = settings
    this.#random = new Random(seed)
    const clock = new VirtualClock(startTime)
    this.#clock = clock
    const log = createMemoryLog({ seed, faults, clock: () => clock.wallTime() })
    this.#log = log
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
    const named = new Map<string, ProcessorDefinition>()
    for (const [key, definition] of Object.entries(definitions)) {
      const name = functionName(key)
      if (named.has(name)) throw new TypeError(`two functions have the name ${name}`)
      named.set(name, definition)
    }
    const described = [...named].map(([name, definition]) => ({
      definition,
      description: describe(definition, name, namespace),
    }))
    for (const each of described) {
      const made = await HostedFunction.create({
        ...each,
        log: host.#log,
        pace: host.#pace,
        settings,
      })
      host.#functions.set(made.name, made)
    }
    await host.#startAll()
    return host
  }

  async emit<Stream extends StreamName<D>>(
    stream: Stream,
    key: string,
    value: Emitted<D, Stream> | null,
    options: EmitOptions = {},
  ): Promise<EmittedRecord> {
    const { readers, writers, topic } = this.#stream(stream)
    const { partitions, maxRecordBytes } = this.#settings
    const keyBytes = Buffer.from(key)
    const { timestamp = this.now(), partition = partitionOf(keyBytes, partitions) } = options
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
      throw new RangeError(`partition ${partition} does not exist, ${topic} has ${partitions}`)
    }
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new RangeError(`timestamp ${timestamp} is no time in ms since 1970`)
    }
    const record = {
      topic,
      partition,
      key: keyBytes,
      value: value === null ? null : encode(stream, readers.length > 0 ? readers : writers, value),
      timestamp,
      headers: toHeaders(options.headers ?? {}),
    }
    checkRecord(record, maxRecordBytes)
    return { stream, partition, offset: await this.#append(record) }
  }

  table<Name extends TableName<D>>(name: Name): TestTable<TableValue<D, Name>>
  table(name: string): TestTable<unknown> {
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
      const { table } = owner.definition
      if (table === undefined) throw new TypeError(`${owner.name} has no table any more`)
      return { store: owner.store, codec: table, partitions }
    })
    this.#tables.set(owner.name, made)
    return made
  }

  stream<Stream extends StreamName<D>>(stream: Stream): TestStream<Received<D, Stream>>
  stream(name: string): TestStream<unknown> {
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
      rest: () => this.#rest(),
      check: () => this.#check(),
    })
    this.#streams.set(name, made)
    return made
  }

  function(name: FunctionName<D>): FunctionStatus {
    return this.#function(name)
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
    if (store === 'lost') for (const each of all) each.loseStore()
    await this.#startAll()
  }

  async rebalance({ lost = false }: { readonly lost?: boolean } = {}): Promise<void> {
    const all = [...this.#functions.values()]
    await Promise.all(all.map((each) => (lost ? each.fence() : each.drain())))
    await this.#startAll()
  }

  async swap(definitions: { readonly [Name in keyof D]?: ProcessorDefinition }): Promise<void> {
    const { namespace } = this.#settings
    const swaps = Object.entries<ProcessorDefinition | undefined>(definitions).map(
      ([key, definition]) => {
        const running = this.#function(key)
        return () => {
          const description = describe(definition, running.name, namespace)
          return { running, definition, description }
        }
      },
    )
    // All are checked before the first is swapped.
    for (const { running, definition, description } of swaps.map((check) => check())) {
      if (definition !== undefined) await running.swap(definition, description)
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

  /** In the order of the calls, be they awaited or not. */
  async #append(record: RecordToAppend): Promise<number> {
    const appended = this.#lastEmit.then(() => this.#log.append([record], { atomic: true }))
    this.#lastEmit = appended.then(
      () => {},
      () => {},
    )
    this.#emits += 1
    try {
      const [offset = 0] = await appended
      // A handler that awaits nothing is through with it: records that are emitted in turn are handled in turn.
      await turn()
      return offset
    } finally {
      this.#emits -= 1
    }
  }

  async #startAll(): Promise<void> {
    await Promise.all([...this.#functions.values()].map((each) => each.start()))
  }

  async #rest(): Promise<void> {
    await this.#pace.until(
      () => this.#emits === 0 && this.#all((each) => each.isAtRest),
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

  #stream(name: string): { topic: string; readers: AnyCodec[]; writers: AnyCodec[] } {
    const all = [...this.#functions.values()].map(({ definition }) => definition)
    const readers = all.flatMap(({ inputs }) => own(inputs, name))
    const writers = all.flatMap(({ outputs = {} }) => own(outputs, name))
    const names = all.flatMap(({ inputs, outputs = {} }) => [inputs, outputs].flatMap(Object.keys))
    known([...readers, ...writers][0], 'stream', name, [...new Set(names)])
    return { topic: this.#settings.namespace + name, readers, writers }
  }
}

const own = (codecs: Readonly<Record<string, AnyCodec>>, name: string): AnyCodec[] => {
  const codec = Object.hasOwn(codecs, name) ? codecs[name] : undefined
  return codec === undefined ? [] : [codec]
}

/** As the first codec that takes the value has it. */
function encode(stream: string, codecs: readonly AnyCodec[], value: unknown): Buffer {
  const refusals: unknown[] = []
  for (const codec of codecs) {
    try {
      return Buffer.from(codec.encode(value))
    } catch (error) {
      refusals.push(error)
    }
  }
  const why = refusals.map((each) => (each instanceof Error ? each.message : String(each)))
  throw new HostError(
    'BAD_VALUE',
    `the stream "${stream}" does not take the value: ${why.join('; ')}`,
    {
      cause: refusals[0],
      stream,
    },
  )
}

function toHeaders(headers: Readonly<Record<string, string>>): Header[] {
  const problem = headerProblem(headers)
  if (problem !== undefined) throw new RangeError(problem)
  return Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)])
}
