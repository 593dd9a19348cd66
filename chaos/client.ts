// What a client of the hosts asks, and what it may conclude from an answer, or from none.
import type { Outcome } from './account.js'

export interface Answer {
  /** 0: there is none. */
  readonly status: number
  readonly body: unknown
  /** Of an error: that of the host, or that of the connection. */
  readonly code: string
  readonly message: string
}

/** Longer than a host waits for its broker. It is the end, too, of waiting for one that has fallen silent. */
const answerMs = 15_000

/** For who asks where nobody is meant to be. */
export const nobody: Answer = {
  status: 0,
  body: undefined,
  code: 'ECONNREFUSED',
  message: 'it is down',
}

export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(answerMs) })
    const text = await response.text()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const { code = '', message = '' } = Object(Object(body).error)
    return { status: response.status, body, code: String(code), message: String(message) }
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error
    const { code, name } = Object(cause)
    return { status: 0, body: undefined, code: String(code ?? name), message: String(cause) }
  }
}

/** Answered before anything was written, or by nobody. */
const refusals = new Set(['STOPPING', 'RECOVERING', 'OVERLOADED', 'ECONNREFUSED'])

/** Of an emit. */
export function outcomeOf({ status, code, message }: Answer): Outcome {
  if (status === 201) return 'acknowledged'
  return refusals.has(code) || /nothing was written/.test(message) ? 'refused' : 'unknown'
}

/** What a client is told that has done nothing wrong. */
const excusable = new Set(['KEY_NOT_FOUND', 'OVERLOADED'])

/** An answer that no fault excuses. */
export const isInexcusable = ({ status, code }: Answer): boolean =>
  (status >= 400 && status <= 500 && !excusable.has(code)) || code === 'INTERNAL'
