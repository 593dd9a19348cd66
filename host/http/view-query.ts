// What a request for a table asks besides its keys: how long to wait for what, and whether old values will do.
import { HostError } from '../errors.js'
import { readCount, readQuery } from './target.js'
import { decodeToken, type Token } from './token.js'

export const waitParameters = ['after', 'timeoutMs', 'stale']

export interface ViewQuery {
  readonly given: ReadonlyMap<string, string[]>
  /** Undefined: nothing is to be waited for. */
  readonly after: readonly Token[] | undefined
  readonly timeoutMs: number
  readonly isStaleOk: boolean
}

export interface WaitLimits {
  readonly waitTimeoutMs: number
  readonly maxWaitTimeoutMs: number
}

/** Throws BAD_REQUEST, BAD_TOKEN. */
export function viewQuery(
  target: string,
  limits: WaitLimits,
  parameters: readonly string[] = [],
): ViewQuery {
  const given = readQuery(target, [...waitParameters, ...parameters])
  return {
    given,
    after: given.get('after')?.map(decodeToken),
    timeoutMs: readCount(given, 'timeoutMs', limits.maxWaitTimeoutMs) ?? limits.waitTimeoutMs,
    isStaleOk: isStaleOk(given),
  }
}

/** The same for another instance, with what is left of the time. */
export function forwardedQuery({ given, isStaleOk }: ViewQuery, timeoutMs: number): string {
  const parameters = new URLSearchParams(isStaleOk ? { stale: 'ok' } : {})
  for (const token of given.get('after') ?? []) parameters.append('after', token)
  parameters.set('timeoutMs', String(Math.max(1, Math.floor(timeoutMs))))
  return `?${parameters}`
}

const isStaleOk = (query: ReadonlyMap<string, readonly string[]>): boolean => {
  const stale = query.get('stale')?.at(-1)
  if (stale === undefined || stale === 'ok') return stale === 'ok'
  throw new HostError('BAD_REQUEST', `stale is ${JSON.stringify(stale)}: allowed is ok`)
}
