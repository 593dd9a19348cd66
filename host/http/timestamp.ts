// The time that a client gives to a record.
import { HostError } from '../errors.js'

/** The last moment that a Date can hold. */
const latest = 8_640_000_000_000_000

/** Milliseconds since 1970, as a number or in digits, or ISO 8601. Throws BAD_REQUEST. */
export function readTimestamp(given: unknown, what: string): number {
  const isDigits = typeof given === 'string' && /^\d{1,16}$/.test(given)
  const isIso = typeof given === 'string' && /^\d{4}-\d\d-\d\d(T\S+)?$/.test(given)
  const time =
    typeof given === 'number'
      ? given
      : isDigits
        ? Number(given)
        : isIso
          ? Date.parse(given)
          : Number.NaN
  if (Number.isInteger(time) && time >= 0 && time <= latest) return time
  throw new HostError(
    'BAD_REQUEST',
    `${what} is ${JSON.stringify(given)}: allowed are milliseconds since 1970, or ISO 8601 like 2026-01-31T12:00:00Z`,
  )
}
