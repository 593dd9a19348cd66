// A small HTTP client with one kept connection: fetch alone would cost more than what is measured.
import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

const maxLines = 5_000
const maxBytes = 4 * 1024 * 1024

export interface Answer {
  readonly status: number
  readonly body: string
}

export class Client implements Disposable {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(url: string) {
    this.#url = url
  }

  send(method: string, path: string, body?: string, type = 'application/json'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': type }
      const outgoing = request(this.#url + path, { method, agent: this.#agent, headers })
      outgoing.on('error', reject)
      outgoing.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
        })
      })
      outgoing.end(body)
    })
  }

  /** Refuses any answer but a good one. */
  async ask<Body>(method: string, path: string, body?: string, type?: string): Promise<Body> {
    const answer = await this.send(method, path, body, type)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body)
  }

  async emit(stream: string, key: string, value: object): Promise<string> {
    const path = `/emitters/${stream}/${encodeURIComponent(key)}`
    return (await this.ask<{ token: string }>('POST', path, JSON.stringify(value))).token
  }

  /** NDJSON in batches, each all or none; the tokens of the batches, each of the partitions that its lines lie in. */
  async emitLines(stream: string, lines: Iterable<string>): Promise<string[]> {
    const tokens: string[] = []
    for (const batch of batches(lines)) {
      const type = 'application/x-ndjson'
      const body = batch.join('\n')
      const path = `/emitters/${stream}`
      tokens.push((await this.ask<{ token: string }>('POST', path, body, type)).token)
    }
    return tokens
  }

  /** Answered as soon as the table reflects the token; asks again when the host gave up waiting or is not ready. */
  async reflects(table: string, token = ''): Promise<void> {
    const path = `/views/${table}?limit=1&timeoutMs=60000&after=${encodeURIComponent(token)}`
    for (;;) {
      const { status, body } = await this.send('GET', path)
      if (status === 200) return
      if (status !== 503 && status !== 504) throw new Error(`GET ${path}: ${status} ${body}`)
      await pause(5)
    }
  }

  /** Every key of a table with its value. */
  async table<Value>(table: string): Promise<Map<string, Value>> {
    const entries = new Map<string, Value>()
    for (let cursor: string | null = ''; cursor !== null; ) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const page: Page<Value> = await this.ask('GET', `/views/${table}?limit=10000${from}`)
      for (const { key, value } of page.entries) entries.set(key, value)
      cursor = page.cursor
    }
    return entries
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

interface Page<Value> {
  readonly entries: readonly { readonly key: string; readonly value: Value }[]
  readonly cursor: string | null
}

/** Bounded in lines and in bytes. */
function* batches(lines: Iterable<string>): Generator<string[]> {
  let batch: string[] = []
  let bytes = 0
  for (const line of lines) {
    if (batch.length === maxLines || (batch.length > 0 && bytes + line.length > maxBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(line)
    bytes += line.length
  }
  if (batch.length > 0) yield batch
}
