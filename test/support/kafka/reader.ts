// A reader of a live broker for tests, the requests that it makes, and records for it to read.
import type { KafkaConfig } from 'kafkajs'
import type { Test } from 'tap'
import { AssignedReader } from '#host/log/assigned-reader.js'
import { Brokers } from '#host/log/kafka/brokers.js'
import { Chunk } from '#host/log/kafka/chunk.js'
import type { Link } from '#host/log/kafka/link.js'
import type { KafkaRequest, Response } from '#host/log/kafka/request.js'
import { produce } from '#host/log/kafka/requests/produce.js'
import { KafkaSource } from '#host/log/kafka/source.js'
import type { Batch, LogReader } from '#host/log/log.js'
import { partitionKey } from '#host/log/log.js'
import { until } from '../until.js'
import { batchOf } from './batch.js'
import { quietKafka } from './client.js'

export interface AskedRequest {
  readonly apiName: string
  readonly waitMs: number
  isAnswered: boolean
  /** How long it took. */
  ms: number
}

/** Notes what is asked for, and may change an answer. */
export class NotedBrokers extends Brokers {
  readonly asked: AskedRequest[] = []
  /** Of all whole batches that were fetched. */
  fetchedBytes = 0
  answered: (answer: Response) => Response = (answer) => answer
  paused: (ms: number) => Promise<void> = (ms) => super.pause(ms)

  get fetches(): readonly AskedRequest[] {
    return this.asked.filter(({ apiName }) => apiName === 'Fetch')
  }

  /** Fetches that wait for what comes. */
  get waiting(): readonly AskedRequest[] {
    return this.fetches.filter(({ isAnswered, waitMs }) => !isAnswered && waitMs >= 100)
  }

  override async ask<R extends Response>(node: number, request: KafkaRequest<R>): Promise<R> {
    const { apiName, waitMs = 0 } = request
    const start = performance.now()
    const noted = { apiName, waitMs, isAnswered: false, ms: 0 }
    this.asked.push(noted)
    const { decode } = request
    try {
      return await super.ask(node, {
        ...request,
        decode: (reader) => {
          const answer = decode.call(request, reader)
          for (const bytes of batchesOf(answer))
            this.fetchedBytes += new Chunk(bytes, 0, []).bytesLeft
          return Object.assign(answer, this.answered(answer))
        },
      })
    } finally {
      noted.isAnswered = true
      noted.ms = performance.now() - start
    }
  }

  override pause(ms: number): Promise<void> {
    return this.paused(ms)
  }
}

function batchesOf(answer: Response): Buffer[] {
  const { partitions } = answer as { partitions?: readonly { batches?: Buffer }[] }
  return (partitions ?? []).flatMap(({ batches }) => batches ?? [])
}

/** As the log has it. */
const retry = { initialRetryTime: 50, maxRetryTime: 300, retries: 2 }

export interface ReaderOptions {
  readonly maxBytes?: number
  readonly config?: Partial<KafkaConfig>
}

export function openReader(
  t: Test,
  address: string,
  { maxBytes = 1024 * 1024, config }: ReaderOptions = {},
): { reader: LogReader; brokers: NotedBrokers; source: KafkaSource } {
  const brokers = new NotedBrokers(quietKafka(address, { retry, ...config }))
  const source = new KafkaSource(brokers, () => {}, { maxBytes })
  const reader = new AssignedReader(source, maxBytes, () => {})
  t.teardown(() => reader[Symbol.asyncDispose]())
  return { reader, brokers, source }
}

/** From the beginning of each of its partitions. */
export const beginning = (topic: string, partitions = 1) =>
  Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 }))

/** Produces a batch, as often as it takes; the offset of its first record. */
export async function write(
  link: Link,
  topic: string,
  values: readonly string[],
  partition = 0,
): Promise<number> {
  return send(link, topic, batchOf({ values }), partition)
}

export async function send(
  link: Link,
  topic: string,
  batch: Buffer,
  partition = 0,
): Promise<number> {
  const asked = produce({ transactionalId: null, timeoutMs: 10_000 }, [{ topic, partition, batch }])
  const answer = await until('the broker takes the batch', async () => {
    const [found] = (await link.ask(asked)).partitions
    return found?.error === 0 && found
  })
  return answer.offset
}

/** What a reader has handed out, each partition without a gap between its batches. */
export class Seen {
  readonly #t: Test
  readonly #values = new Map<string, string[]>()
  readonly #next = new Map<string, number>()

  constructor(t: Test) {
    this.#t = t
  }

  add(batches: readonly Batch[]): void {
    for (const { topic, partition, from, next, records } of batches) {
      const key = partitionKey(topic, partition)
      const before = this.#next.get(key)
      if (before !== undefined && before !== from) this.#t.equal(from, before, `${key} goes on`)
      if (next <= from) this.#t.ok(next > from, `${key} moves`)
      const values = this.#values.get(key) ?? []
      let last = from - 1
      for (const record of records) {
        if (record.offset <= last || record.offset >= next) this.#t.fail(`${key}: order`)
        last = record.offset
        values.push(record.valueText())
      }
      this.#values.set(key, values)
      this.#next.set(key, next)
    }
  }

  async read(reader: LogReader, isDone: () => boolean): Promise<void> {
    while (!isDone()) this.add(await reader.next())
  }

  values(topic: string, partition = 0): readonly string[] {
    return this.#values.get(partitionKey(topic, partition)) ?? []
  }

  next(topic: string, partition = 0): number {
    return this.#next.get(partitionKey(topic, partition)) ?? -1
  }
}
