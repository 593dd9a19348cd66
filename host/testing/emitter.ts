// Emits as a client does: a value that some codec of the stream takes, appended in the order of the calls.
import type { AnyCodec } from '../../sdk/codec.js'
import type { EmitOptions } from '../../sdk/context.js'
import type { KeyCodec } from '../../sdk/key.js'
import type { Hasher } from '../../sdk/topic.js'
import { HostError } from '../errors.js'
import { headerProblem } from '../log/limits.js'
import type { Header, Log, RecordToAppend } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import { checkRecord } from '../log/problems.js'
import { turn } from '../turn.js'
import { keyTextOf } from './keys.js'
import type { Settings } from './options.js'
import type { EmittedRecord } from './test-host.js'

export interface KnownStream {
  readonly name: string
  readonly topic: string
  readonly hasher: Hasher
  /** Of the functions that read it, and of those that write it. */
  readonly readers: readonly AnyCodec[]
  readonly writers: readonly AnyCodec[]
  /** Of the functions that read it; if there are none, of those that write it. Undefined: text. */
  readonly keys: readonly (KeyCodec<unknown> | undefined)[]
}

export interface EmitterOptions {
  readonly log: Log
  readonly settings: Settings
  now(): number
}

export class Emitter {
  readonly #options: EmitterOptions
  #pending = 0
  #last: Promise<void> = Promise.resolve()

  constructor(options: EmitterOptions) {
    this.#options = options
  }

  /** The log has everything. */
  get isDone(): boolean {
    return this.#pending === 0
  }

  async emit(
    { name, topic, hasher, readers, writers, keys }: KnownStream,
    key: unknown,
    value: unknown,
    options: EmitOptions,
  ): Promise<EmittedRecord> {
    const { partitions, maxRecordBytes } = this.#options.settings
    const keyBytes = Buffer.from(keyTextOf(name, keys, key))
    const { timestamp = this.#options.now() } = options
    const { partition = partitionOf(keyBytes, partitions, hasher) } = options
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
      value: value === null ? null : encode(name, readers.length > 0 ? readers : writers, value),
      timestamp,
      headers: toHeaders(options.headers ?? {}),
    }
    checkRecord(record, maxRecordBytes)
    return { stream: name, partition, offset: await this.#append(record) }
  }

  /** In the order of the calls, be they awaited or not. */
  async #append(record: RecordToAppend): Promise<number> {
    const appended = this.#last.then(() => this.#options.log.append([record], { atomic: true }))
    this.#last = appended.then(
      () => {},
      () => {},
    )
    this.#pending += 1
    try {
      const [offset = 0] = await appended
      // A handler that awaits nothing is through with it: records that are emitted in turn are handled in turn.
      await turn()
      return offset
    } finally {
      this.#pending -= 1
    }
  }
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
