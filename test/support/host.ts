// A real host in this process, on a folder of its own, for tests that watch it from outside.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { loadConfig } from '#host/config.js'
import { type RunningHost, startHost } from '#host/host.js'
import { createLogger } from '#host/logger.js'
import { testFolder } from './folder.js'
import { until } from './until.js'

export interface TestHostOptions {
  /** File name to source. */
  readonly functions: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly watch?: boolean
}

export class HostUnderTest {
  readonly root: string
  readonly lines: string[] = []
  #host: RunningHost | undefined
  readonly #options: TestHostOptions

  constructor(root: string, options: TestHostOptions) {
    this.root = root
    this.#options = options
    mkdirSync(join(root, 'functions'), { recursive: true })
    for (const [name, source] of Object.entries(options.functions)) this.save(name, source)
  }

  get host(): RunningHost {
    if (this.#host === undefined) throw new Error('the host is not running')
    return this.#host
  }

  save(name: string, source: string): void {
    writeFileSync(join(this.root, 'functions', name), source)
  }

  remove(name: string): void {
    rmSync(join(this.root, 'functions', name))
  }

  async start(): Promise<void> {
    const config = loadConfig({
      root: this.root,
      env: { MILLRACE_HTTP_PORT: '0', ...this.#options.env },
    })
    const stream = { write: (text: string) => void this.lines.push(text) }
    const logger = createLogger({ level: 'debug', format: 'json', stream })
    this.#host = await startHost({ config, watch: this.#options.watch ?? true, logger })
  }

  async stop(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    await host?.[Symbol.asyncDispose]()
  }

  async get(path: string): Promise<{ status: number; body: unknown }> {
    const response = await fetch(this.host.url + path)
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }

  /** The token of the emit. */
  async emit(stream: string, key: string, value: unknown): Promise<string> {
    const response = await fetch(`${this.host.url}/emitters/${stream}/${encodeURIComponent(key)}`, {
      method: 'POST',
      body: JSON.stringify(value),
    })
    return await tokenOf(response)
  }

  async emitAll(
    stream: string,
    lines: readonly { key: string; value: unknown }[],
  ): Promise<string> {
    const response = await fetch(`${this.host.url}/emitters/${stream}`, {
      method: 'POST',
      body: lines.map((line) => JSON.stringify(line)).join('\n'),
    })
    return await tokenOf(response)
  }

  /** The value once the emit is reflected; undefined for a key without one. */
  async view(table: string, key: string, after?: string): Promise<unknown> {
    const query = after === undefined ? '' : `?after=${after}&timeoutMs=60000`
    const { status, body } = await this.get(`/views/${table}/${encodeURIComponent(key)}${query}`)
    if (status === 404) return undefined
    if (status !== 200) throw new Error(`GET ${table}/${key}: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async status(name: string) {
    return await this.host.catalog.function(name)
  }

  /** Waits until the function is in the state, or fulfils the condition. */
  async untilStatus(
    name: string,
    is: string | ((status: NonNullable<Awaited<ReturnType<HostUnderTest['status']>>>) => boolean),
  ) {
    return await until(`${name} is ${is}`, async () => {
      const status = await this.status(name)
      if (status === undefined) return undefined
      return (typeof is === 'string' ? status.state === is : is(status)) ? status : undefined
    })
  }
}

async function tokenOf(response: Response): Promise<string> {
  const body: unknown = await response.json()
  if (typeof body === 'object' && body !== null && 'token' in body) return String(body.token)
  throw new Error(`${response.status} ${JSON.stringify(body)}`)
}

/** Started, and stopped at the end of the test. */
export async function testHost(t: Test, options: TestHostOptions): Promise<HostUnderTest> {
  const host = new HostUnderTest(testFolder(t), options)
  t.teardown(() => host.stop())
  await host.start()
  return host
}
