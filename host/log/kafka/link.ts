// Requests of our own over the connections of a kafkajs broker, which knows neither these versions nor a flexible one.
import type { Socket } from 'node:net'
import type { Broker } from 'kafkajs'
import { HostError } from '../../errors.js'
import { brokerUnavailable } from './problems.js'
import type { KafkaRequest, Response } from './request.js'
import { Reader, Writer } from './wire.js'

/** What of kafkajs 2.2.4 is used beyond its types. */
interface RawQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests(): void
  push(request: { readonly entry: { reject(error: Error): void } }): void
}

interface RawConnection {
  readonly requestQueue: RawQueue
  readonly socket?: Socket
  connect(): Promise<unknown>
  isConnected(): boolean
  send(request: RawRequest): Promise<unknown>
  /** Those that wait for an answer. */
  rejectRequests(error: Error): void
}

interface RawRequest {
  readonly request: {
    readonly apiName: string
    readonly apiKey: number
    readonly apiVersion: number
    /** kafkajs copies `buffer`, and looks at `buf`. */
    encode(): { readonly buf: Buffer; readonly buffer: Buffer }
  }
  readonly response: {
    decode(payload: Buffer): object
    parse(decoded: object): unknown
  }
  readonly requestTimeout: number | null
  readonly logResponseError: false
}

interface RawBroker {
  readonly brokerAddress: string
  readonly connectionPool: {
    readonly pool: readonly RawConnection[]
    /** The second is for Fetch alone, the first for all the rest. */
    getConnection(index: 0 | 1): Promise<RawConnection>
  }
  /** By API key, when it is connected. */
  readonly versions: Readonly<
    Record<number, { readonly minVersion: number; readonly maxVersion: number }>
  > | null
}

const isRaw = (broker: object): broker is RawBroker =>
  'connectionPool' in broker && 'brokerAddress' in broker && 'versions' in broker

export class Link {
  readonly #broker: RawBroker
  readonly #answerMs: number

  /** `answerMs`: for any request, to which the time goes that the broker may take on purpose. */
  constructor(broker: Broker, answerMs = 30_000) {
    if (!isRaw(broker)) throw new TypeError('this is no broker of kafkajs 2.2.4')
    this.#broker = broker
    this.#answerMs = answerMs
  }

  get address(): string {
    return this.#broker.brokerAddress
  }

  /**
   * Sends it to the broker, which kafkajs has connected before, and connects anew if it has to. Rejects with kafkajs' error when the
   * connection fails, with BROKER_UNSUPPORTED when the broker does not know the request. What the broker refuses is in the answer.
   */
  async ask<R extends Response>(request: KafkaRequest<R>): Promise<R> {
    const { apiName, apiKey, apiVersion, isFlexible, isAside = false } = request
    const { waitMs = 0, answerMs = this.#answerMs } = request
    this.#check(request)
    const { connectionPool } = this.#broker
    // Each time: kafkajs may have replaced them.
    for (const connection of connectionPool.pool) mend(connection)
    let answer: R | undefined
    const connection = await connectionPool.getConnection(apiName === 'Fetch' && !isAside ? 1 : 0)
    await connection.send({
      request: {
        apiName,
        apiKey,
        apiVersion,
        encode() {
          const writer = new Writer(isFlexible)
          // The end of the header, which kafkajs wrote.
          writer.tags()
          request.encode(writer)
          const buffer = writer.take()
          return { buf: buffer, buffer }
        },
      },
      response: {
        decode(payload) {
          const reader = new Reader(payload, isFlexible)
          reader.tags()
          answer = request.decode(reader)
          return { clientSideThrottleTime: answer.throttleMs }
        },
        parse: (decoded) => decoded,
      },
      requestTimeout: waitMs + answerMs,
      logResponseError: false,
    })
    if (answer === undefined) throw new TypeError(`kafkajs did not decode its answer to ${apiName}`)
    return answer
  }

  /** What waits on its connections fails, and the next request opens them anew: kafkajs itself keeps one on which nothing is answered. */
  drop(): void {
    // With an error: kafkajs does not listen to an end without one.
    for (const { socket } of this.#broker.connectionPool.pool) {
      socket?.destroy(new Error('it has not answered in time'))
    }
  }

  /** For good: who waits for an answer is told so at once, and its connections are closed. */
  cut(reason: Error): void {
    for (const connection of this.#broker.connectionPool.pool) {
      connection.rejectRequests(reason)
      // Those that are on their way to it would wait in vain.
      connection.requestQueue.push = ({ entry }) => entry.reject(reason)
      if (connection.isConnected()) connection.socket?.destroy()
    }
  }

  /** A version that a broker does not know makes it close the connection, with all that is on it. */
  #check({ apiName, apiKey, apiVersion }: KafkaRequest<Response>): void {
    const { versions, brokerAddress } = this.#broker
    // Its connection is just being made, by somebody else, or has failed.
    if (versions === null)
      throw brokerUnavailable(new Error(`${brokerAddress} is not connected yet`))
    const known = versions[apiKey]
    if (known !== undefined && known.minVersion <= apiVersion && apiVersion <= known.maxVersion) {
      return
    }
    const range =
      known === undefined
        ? 'does not know it'
        : `knows versions ${known.minVersion} to ${known.maxVersion}`
    throw new HostError(
      'BROKER_UNSUPPORTED',
      `${apiName} version ${apiVersion} is needed, and the broker ${brokerAddress} ${range}: run Apache Kafka 3.1 to 4.x`,
    )
  }
}

/** Two faults of kafkajs 2.2.4, mended on the object that has them; once only, since then it has methods of its own. */
function mend(connection: RawConnection): void {
  if (Object.hasOwn(connection, 'connect')) return
  // Two requests that find it unconnected would open two sockets, of which one is lost.
  const connect = connection.connect.bind(connection)
  let connecting: Promise<unknown> | undefined
  connection.connect = () => {
    connecting ??= connect().finally(() => {
      connecting = undefined
    })
    return connecting
  }
  // It would look each millisecond for requests that wait, when there are none.
  const queue = connection.requestQueue
  const look = queue.scheduleCheckPendingRequests.bind(queue)
  queue.scheduleCheckPendingRequests = () => {
    if (queue.pending.length > 0) look()
  }
}
