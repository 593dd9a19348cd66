// A stream as a test reads it: every record in the order in which they came, decoded.
import type { AnyCodec } from '../../sdk/codec.js'
import { HostError } from '../errors.js'
import type { Arrival } from '../log/memory/log.js'
import { headersAsText } from '../processor/headers.js'
import { type Keys, keyFrom } from './keys.js'

/** One record, decoded. A value of `null` is a tombstone. */
export interface TestRecord<Value, Key = string> {
  /** As its readers have it; as text, if it is none of theirs. */
  readonly key: Key
  readonly value: Value | null
  readonly headers: Readonly<Record<string, string>>
  readonly timestamp: number
  readonly partition: number
  readonly offset: number
}

export interface TestStream<Value, Key = string> extends AsyncIterable<TestRecord<Value, Key>> {
  /**
   * Waits until the functions have come to rest, then gives the next record that was not read yet; `undefined`: there is none.
   * Rejects instead of saying so if a function has halted, as `settled` does.
   */
  next(): Promise<TestRecord<Value, Key> | undefined>
  /** All records that are in the stream now, whatever was read. */
  records(): TestRecord<Value, Key>[]
  /** Where `next` goes on: 0 is the first record, `size` the end. */
  seek(index: number): void
  /** How many records are in the stream now. */
  readonly size: number
}

export interface StreamOptions {
  readonly name: string
  arrivals(): readonly Arrival[]
  /** The first that takes it decodes a value. */
  codecs(): readonly AnyCodec[]
  keys(): readonly Keys[]
  /** Resolves when all functions are at rest, halted or not. */
  rest(): Promise<void>
  /** Throws if a function has halted. */
  check(): void
}

export class StreamOfRecords implements TestStream<unknown, unknown> {
  readonly #options: StreamOptions
  #index = 0

  constructor(options: StreamOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#options.arrivals().length
  }

  records(): TestRecord<unknown, unknown>[] {
    return this.#options.arrivals().map((arrival) => this.#decoded(arrival))
  }

  seek(index: number): void {
    const { size } = this
    if (!Number.isInteger(index) || index < 0 || index > size) {
      throw new RangeError(
        `${this.#options.name} has ${size} records: seek takes 0 to ${size}, not ${index}`,
      )
    }
    this.#index = index
  }

  async next(): Promise<TestRecord<unknown, unknown> | undefined> {
    await this.#options.rest()
    const arrival = this.#options.arrivals()[this.#index]
    if (arrival === undefined) {
      this.#options.check()
      return undefined
    }
    this.#index += 1
    return this.#decoded(arrival)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TestRecord<unknown, unknown>> {
    for (let record = await this.next(); record !== undefined; record = await this.next()) {
      yield record
    }
  }

  #decoded({ partition, record }: Arrival): TestRecord<unknown, unknown> {
    const { key, value, headers, timestamp, offset } = record
    return {
      key: keyFrom(this.#options.keys(), key?.toString() ?? ''),
      value: value === null ? null : this.#decode(value, partition, offset),
      headers: headersAsText(headers),
      timestamp,
      partition,
      offset,
    }
  }

  #decode(value: Buffer, partition: number, offset: number): unknown {
    let refusal: unknown
    for (const codec of this.#options.codecs()) {
      try {
        // A copy: the codec may hand its argument out.
        return codec.decode(Uint8Array.from(value))
      } catch (error) {
        refusal = error
      }
    }
    const { name } = this.#options
    const message = refusal instanceof Error ? refusal.message : String(refusal)
    throw new HostError(
      'UNDECODABLE',
      `${name}, partition ${partition}, offset ${offset} does not decode: ${message}`,
      { cause: refusal, stream: name, partition, offset },
    )
  }
}
