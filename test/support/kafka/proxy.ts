// A way to a broker on which single requests and answers can be lost, and all of it can be slow, cut or silent.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { KafkaConfig } from 'kafkajs'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { Reader, Writer } from '#host/log/kafka/wire.js'
import type { Scope } from '../scope.js'

/** Those that writers and readers send. */
export const apiKeys = {
  Produce: 0,
  Fetch: 1,
  Metadata: 3,
  OffsetFetch: 9,
  FindCoordinator: 10,
  Heartbeat: 12,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const

export type ApiName = keyof typeof apiKeys

/**
 * `request`: the connection is cut, and it never arrives. `answer`: it is done, and then the connection is cut. `silence`: it is done,
 * and nothing is answered. `late`: nothing is answered, and it arrives when it is released, by a way of its own, whatever has become of its
 * connection. `hold`: it waits for its release, with all that comes behind it. `refuse`, of Produce only: it is answered, with
 * NOT_ENOUGH_REPLICAS, and never arrives.
 */
export type Loss = 'request' | 'answer' | 'silence' | 'late' | 'hold' | 'refuse'

interface Plan {
  readonly api: number
  readonly loss: Loss
  left: number
  readonly happened: () => void
  readonly released: Promise<void>
  /** Of `late`: the broker has answered. */
  readonly arrived: () => void
}

export interface Lost {
  readonly happened: Promise<void>
  release(): void
  /** Of `late`: it has arrived, and the broker has answered. */
  readonly arrived: Promise<void>
}

export interface Request {
  readonly apiKey: number
  /** Of one that is not flexible: what follows its header. */
  body(): Reader
}

export interface Proxy {
  /** `host:port` of the way, for a broker that advertises it. */
  readonly address: string
  /** For a client that takes this way. */
  readonly config: Partial<KafkaConfig>
  /** The requests that came. */
  readonly seen: ApiName[]
  /** The connections that were asked for, whatever came of them. */
  readonly accepted: readonly unknown[]
  /** Of the next so many requests of this kind. */
  lose(api: ApiName, loss: Loss, times?: number): Lost
  /** Cuts every connection. */
  cut(): void
  /**
   * Until it is healed. `cut`: no connection is had. `silent`: each is taken, and nothing comes through: those that are open stay so for
   * good, as behind a firewall that has forgotten them.
   */
  close(how: 'cut' | 'silent'): void
  /** Each answer comes so much later. */
  delay(ms: number): void
  /** Nothing is lost or late any more; what was silent before stays silent. */
  heal(): void
}

const names = new Map<number, ApiName>()
for (const name of Object.keys(apiKeys) as ApiName[]) names.set(apiKeys[name], name)

/** `address`: asked when a connection is made. `heard`: of each request that comes through. `at`: the address that it listens on. */
export async function proxyTo(
  t: Pick<Scope, 'teardown'>,
  address: string | (() => string),
  heard: (request: Request) => void = () => {},
  at = '127.0.0.1',
): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const seen: ApiName[] = []
  const accepted: Socket[] = []
  let plans: Plan[] = []
  let state: 'open' | 'cut' | 'silent' = 'open'
  /** Each time that it falls silent: what was open before is dead. */
  let silences = 0
  let delayMs = 0

  const serve = (inner: Socket): void => {
    accepted.push(inner)
    if (state === 'cut') {
      inner.destroy()
      return
    }
    const silence = silences
    const isDead = state === 'silent'
    const isSilent = () => isDead || silence !== silences
    const [host = '', port] = (typeof address === 'string' ? address : address()).split(':')
    const outer = connect(Number(port), host)
    const cut = (): void => {
      inner.destroy()
      outer.destroy()
    }
    const planned = new Map<number, Plan>()
    for (const socket of [inner, outer]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    frames(inner, async (frame) => {
      if (isSilent()) return
      const api = frame.readInt16BE(4)
      heard({ apiKey: api, body: () => bodyOf(frame).reader })
      const name = names.get(api)
      if (name !== undefined) seen.push(name)
      const plan = plans.find((one) => one.api === api && one.left > 0)
      if (plan !== undefined) {
        plan.left--
        if (plan.loss === 'request') {
          plan.happened()
          cut()
          return
        }
        if (plan.loss === 'refuse') {
          plan.happened()
          inner.write(refusal(frame))
          return
        }
        if (plan.loss === 'late') {
          plan.happened()
          void plan.released.then(() => {
            const way = connect(Number(port), host, () => way.write(frame))
            sockets.add(way)
            way.on('error', () => {})
            way.once('data', () => {
              way.destroy()
              plan.arrived()
            })
          })
          return
        }
        if (plan.loss === 'hold') {
          plan.happened()
          await plan.released
        } else planned.set(frame.readInt32BE(8), plan)
      }
      outer.write(frame)
    })
    frames(outer, async (frame, cameAt) => {
      if (delayMs > 0) await pause(Math.max(0, cameAt + delayMs - performance.now()))
      if (isSilent()) return
      const plan = planned.get(frame.readInt32BE(4))
      if (plan === undefined) {
        inner.write(frame)
        return
      }
      plan.happened()
      if (plan.loss === 'answer') cut()
    })
  }

  const server = createServer(serve)
  server.listen(0, at)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const listening = server.address()
  if (listening === null || typeof listening === 'string') throw new Error('not a port')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    address: `${at}:${listening.port}`,
    config: { socketFactory: ({ onConnect }) => connect(listening.port, at, onConnect) },
    seen,
    accepted,
    lose(api, loss, times = 1) {
      let happened: () => void = () => {}
      let release: () => void = () => {}
      const happening = new Promise<void>((resolve) => {
        happened = resolve
      })
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      let arrived: () => void = () => {}
      const arriving = new Promise<void>((resolve) => {
        arrived = resolve
      })
      plans.push({ api: apiKeys[api], loss, left: times, happened, released, arrived })
      return { happened: happening, release, arrived: arriving }
    },
    cut,
    close(how) {
      state = how
      if (how === 'cut') cut()
      else silences += 1
    },
    delay(ms) {
      delayMs = ms
    },
    heal() {
      plans = []
      state = 'open'
      delayMs = 0
    },
  }
}

function bodyOf(frame: Buffer): { correlation: number; reader: Reader } {
  const reader = new Reader(frame.subarray(8), false)
  const correlation = reader.int32()
  reader.string() // client
  return { correlation, reader }
}

/** To a Produce of version 8. */
function refusal(frame: Buffer): Buffer {
  const { correlation, reader } = bodyOf(frame)
  reader.string() // transactional id
  reader.int16() // acks
  reader.int32() // time-out
  const topics = reader.array(() => ({
    name: reader.string(),
    partitions: reader.array(() => {
      const partition = reader.int32()
      reader.bytes()
      return partition
    }),
  }))
  const writer = new Writer(false).int32(correlation)
  writer.array(topics, ({ name, partitions }) => {
    writer.string(name)
    writer.array(partitions, (partition) => {
      writer.int32(partition).int16(kafkaErrors.NOT_ENOUGH_REPLICAS)
      writer.int64(-1).int64(-1).int64(-1)
      const noErrors: readonly [] = []
      writer.array(noErrors, () => {}).string(null)
    })
  })
  const notThrottled = 0
  const body = writer.int32(notThrottled).take()
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** Hands on whole requests or answers, one after the other. */
function frames(socket: Socket, hand: (frame: Buffer, cameAt: number) => Promise<void>): void {
  let rest = Buffer.alloc(0)
  let last = Promise.resolve()
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const length = 4 + rest.readInt32BE(0)
      if (rest.length < length) return
      const frame = rest.subarray(0, length)
      rest = rest.subarray(length)
      const cameAt = performance.now()
      last = last.then(() => hand(frame, cameAt))
    }
  })
}
