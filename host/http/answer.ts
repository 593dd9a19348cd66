// Answers: JSON, and errors in the one form that all routes share.
import { asHostError, HostError } from '../errors.js'
import type { Logger } from '../logger.js'

export const jsonType = { 'content-type': 'application/json' } as const
export const binaryType = { 'content-type': 'application/octet-stream' } as const
/** Up to here a value is sent as a string: Node sends that in one piece with the headers, and bytes in a second one. */
export const shortBytes = 16_384

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { ...jsonType, ...headers } })
}

/** JSON text that is there already. */
export const jsonText = (text: string): Response => new Response(text, { headers: jsonType })

/** The status is the code's own unless the route knows better. */
export function errorAnswer(
  error: HostError,
  headers: Record<string, string> = {},
  status: number = error.status,
): Response {
  return json(errorBody(error), status, { ...extraHeaders(error), ...headers })
}

export function errorBody({ code, message, details }: HostError): object {
  return { error: { code, message, ...(details === undefined ? {} : { details }) } }
}

/** Of whatever a route has thrown. */
export function failureAnswer(thrown: unknown, logger: Logger): Response {
  const error = asHostError(thrown)
  if (error.code !== 'INTERNAL') {
    if (error.status === 500) logger.error(error.message, { error })
    return errorAnswer(error)
  }
  logger.error('a request failed', { error: thrown })
  // What went wrong inside is for the log, not for clients.
  return errorAnswer(new HostError('INTERNAL', 'the host failed at this request: its log says why'))
}

function extraHeaders(error: HostError): Record<string, string> {
  if (error.status === 429 || error.status === 503) return { 'retry-after': '1' }
  if (error.status === 401) return { 'www-authenticate': 'Bearer realm="millrace"' }
  // The rest of the body is not wanted: the connection goes with it.
  if (error.status === 413) return { connection: 'close' }
  return {}
}
