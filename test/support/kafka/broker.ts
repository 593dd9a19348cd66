// A real Apache Kafka for tests and for trying things out, with Kafka's own tools.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { JavaRunOptions } from './java.js'
import { Server, type ServerOptions } from './server.js'
import { installation, type KafkaTool, runTool } from './tool.js'

export interface BrokerOptions extends ServerOptions {
  /** Kept at the end, and taken up again. Default: a temporary folder. */
  readonly data?: string
  /** Called when Kafka has to be fetched first. */
  readonly fetching?: () => void
}

/** Disposing stops it. */
export interface Broker extends AsyncDisposable {
  /** `host:port`, the same after a restart. */
  readonly address: string
  readonly port: number
  /** The last lines that it has printed. */
  readonly said: readonly string[]
  /** The address of one of the `listeners`. */
  listener(name: string): string
  /** Resolves with the reason when it ends without being asked to. */
  died(): Promise<string>
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it anew on the same data and address, after an orderly end if it runs; resolves when it serves. */
  restart(): Promise<void>
  /** An orderly end. A temporary folder goes. */
  stop(): Promise<void>
  /** Runs one of Kafka's own command-line tools on it, and returns what that prints. */
  tool(name: KafkaTool, args: readonly string[], options?: JavaRunOptions): Promise<string>
}

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const java = await installation(options.fetching)
  const isTemporary = options.data === undefined
  const root = resolve(options.data ?? (await mkdtemp(join(tmpdir(), 'kafka-'))))
  const clean = async () => {
    if (isTemporary) await rm(root, { recursive: true, force: true })
  }
  const server = await Server.inFolder(java, root, options)
  try {
    await server.format()
    await server.start()
  } catch (error) {
    await server.kill()
    await clean()
    throw error
  }
  const address = server.address('PLAINTEXT')
  const stop = async () => {
    await server.stop()
    await clean()
  }
  return {
    address,
    port: server.port('PLAINTEXT'),
    said: server.said,
    listener: (name) => server.address(name),
    died: () => server.died(),
    kill: () => server.kill(),
    async restart() {
      await server.stop()
      await server.start()
    },
    stop,
    tool: (name, args, given) => runTool(address, name, args, given),
    [Symbol.asyncDispose]: stop,
  }
}
