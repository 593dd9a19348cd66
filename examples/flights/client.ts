// The little of the host's HTTP interface that the example uses.
import { setTimeout as pause } from 'node:timers/promises'
import type { Flight } from './dataset.js'

/** What both functions keep. */
export interface Delays {
  readonly flights: number
  readonly totalDelay: number
  readonly worstDelay: number
  readonly late: number
  readonly meanDelay: number
  readonly lateShare: number
}

interface Page {
  readonly entries: readonly { readonly key: string; readonly value: Delays }[]
  readonly cursor: string | null
}

export class Client {
  readonly #url: string
  readonly #signal: AbortSignal

  constructor(url: string, signal: AbortSignal) {
    this.#url = url
    this.#signal = signal
  }

  /** All flights or none; the token stands for them in later reads. */
  async emit(flights: readonly Flight[]): Promise<string> {
    const lines = flights.map((flight) => JSON.stringify({ key: flight.origin, value: flight }))
    const { token } = await this.#fetch<{ token: string }>('/emitters/flights', {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    return token
  }

  /** Answered as soon as the table reflects what the token stands for, however many functions lie between. */
  async reflects(table: string, token: string): Promise<void> {
    await this.#fetch(`/views/${table}?limit=1&timeoutMs=60000&after=${encodeURIComponent(token)}`)
  }

  async table(table: string): Promise<Map<string, Delays>> {
    const all = new Map<string, Delays>()
    for (let cursor: string | null = ''; cursor !== null; ) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const page: Page = await this.#fetch<Page>(`/views/${table}?limit=1000${from}`)
      for (const { key, value } of page.entries) all.set(key, value)
      cursor = page.cursor
    }
    return all
  }

  async #fetch<Body>(path: string, init: RequestInit = {}): Promise<Body> {
    const response = await fetch(this.#url + path, { ...init, signal: this.#signal })
    if (response.status === 503 && init.method === undefined) {
      // Just started, it still reads its tables from the log; it says when to come again.
      const seconds = Number(response.headers.get('retry-after') ?? 1)
      await pause(seconds * 1000, undefined, { signal: this.#signal })
      return await this.#fetch(path, init)
    }
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return JSON.parse(await response.text())
  }
}
