// Kafka Streams in a process of its own, told line by line what to do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Java } from '../../test/support/kafka/java.js'
import type { BenchOptions } from '../figure.js'
import { compilePeers } from './java.js'

export type Guarantee = 'exactly_once_v2' | 'at_least_once'

export const streamsName = (guarantee: Guarantee): string =>
  `Kafka Streams, ${guarantee === 'exactly_once_v2' ? 'exactly-once' : 'at-least-once'}`

/** What all of its processes in a run have. */
export interface Peer {
  readonly java: Java
  readonly brokers: readonly string[]
  readonly commitMs: number
}

export async function openPeer(
  { log, folder, say }: BenchOptions,
  commitMs: number,
): Promise<Peer> {
  const fetching = () => say('fetching Kafka Streams by Maven, once …')
  return { java: await compilePeers(folder, fetching), brokers: log.brokers ?? [], commitMs }
}

export interface StreamsOptions {
  readonly topic: string
  /** Its group's id, too. Another one begins anew. */
  readonly application: string
  readonly guarantee: Guarantee
  /** Of its state. */
  readonly folder: string
}

/** Disposing ends it. */
export interface StreamsProcess extends AsyncDisposable {
  readonly pid: number
  /** A time of `performance.now()`. */
  readonly spawnedAt: number
  /** The lines of its answer. */
  ask(command: string): Promise<string[]>
}

const keptLines = 100

export function startStreams(peer: Peer, options: StreamsOptions): StreamsProcess {
  const { java, brokers, commitMs } = peer
  const { topic, application, guarantee, folder } = options
  const args = [brokers.join(','), topic, application, guarantee, String(commitMs), folder]
  const spawnedAt = performance.now()
  const logging = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
  const child = spawn(java.command, [logging, '-cp', java.classPath, 'StreamsPeer', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group, as a host is, by which its memory is found. It ends with its input.
    detached: true,
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${java.command} could not be started`)
  const gone = once(child, 'close')
  const said: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (said.push(line) > keptLines) said.shift()
  })
  // It may have ended before it is told.
  child.stdin.on('error', () => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid,
    spawnedAt,
    async ask(command) {
      child.stdin.write(`${command}\n`)
      const answer: string[] = []
      for (;;) {
        const { value, done } = await lines.next()
        if (done === true) {
          await gone
          throw new Error(`Kafka Streams ended at "${command}":\n${said.join('\n')}`)
        }
        if (value === 'done') return answer
        answer.push(value)
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
