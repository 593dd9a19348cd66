// A failure as people are shown it: the user's own place in the user's own file, with a code frame.
import type { PlainError } from '../errors.js'
import { isObject } from '../object.js'
import type { ShownError } from './catalog.js'
import type { Bundle } from './description.js'
import { causeLines, frameLines, headline, placeLines } from './error-lines.js'
import type { RecordPlace } from './messages.js'
import { type MappedStack, mapStack } from './stack.js'

/** `bundle` is the version that failed, if it is still known. */
export function showError(
  error: PlainError,
  bundle: Bundle | undefined,
  place?: RecordPlace,
): ShownError {
  const mapped = bundle === undefined ? undefined : mapUserFrames(error, bundle)
  // Thrown by the host on the user's account (no default export, say): the place is in the details.
  const name = classOf(error)
  const causes = causesOf(error)
  const location = mapped?.file === undefined ? locationOf(error.details) : mapped
  return {
    code: error.code ?? 'HANDLER_FAILED',
    message: error.message,
    ...(name === undefined ? {} : { name }),
    ...(causes.length === 0 ? {} : { causes }),
    at: new Date().toISOString(),
    ...(location?.file === undefined ? {} : { file: location.file }),
    ...(location?.line === undefined ? {} : { line: location.line }),
    ...(location?.column === undefined ? {} : { column: location.column }),
    ...(location?.frame === undefined ? {} : { frame: location.frame }),
    ...(mapped === undefined ? {} : { stack: mapped.stack }),
    ...(place?.stream === undefined ? {} : { stream: place.stream }),
    ...(place === undefined ? {} : { partition: place.partition }),
    ...(place?.offset === undefined ? {} : { offset: place.offset }),
    ...(place?.key === undefined ? {} : { key: place.key }),
  }
}

/** For the terminal: message, place, code frame, the way there and the causes. */
export function describeError(error: ShownError): string {
  const { frame } = error
  return [
    headline(error),
    ...placeLines(error),
    ...(frame === undefined ? [] : [frame]),
    ...frameLines(error),
    ...causeLines(error),
  ].join('\n')
}

/** Of what user code has thrown; the host's own errors are told apart by their codes. */
function classOf({ code, name, message, cause }: PlainError): string | undefined {
  if (code === undefined) return name
  return cause !== undefined && cause.message === message ? classOf(cause) : undefined
}

/** Without those whose words the error above them has taken over. */
function causesOf(error: PlainError): string[] {
  const causes: string[] = []
  for (let { cause, message } = error; cause !== undefined; { cause, message } = cause) {
    const isTaken = cause.message !== '' && message.includes(cause.message)
    if (!isTaken) causes.push([classOf(cause) ?? cause.code, cause.message].join(': '))
  }
  return causes
}

/** Of the error, or of what it was caused by: what a codec throws is wrapped by the host. */
function mapUserFrames(error: PlainError, bundle: Bundle): MappedStack | undefined {
  let first: MappedStack | undefined
  for (let each: PlainError | undefined = error; each !== undefined; each = each.cause) {
    if (each.stack === undefined) continue
    const mapped = mapStack(each.stack, bundle)
    if (mapped.file !== undefined) return mapped
    first ??= mapped
  }
  return first
}

interface Location {
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly frame?: string
}

/** A failed build or load carries its place, or several, in the details. */
function locationOf(details: unknown): Location | undefined {
  if (!isObject(details)) return undefined
  const first = Array.isArray(details.problems) ? details.problems[0] : details
  if (!isObject(first)) return undefined
  const { file, line, column, frame } = first
  return {
    ...(typeof file === 'string' ? { file } : {}),
    ...(typeof line === 'number' ? { line } : {}),
    ...(typeof column === 'number' ? { column } : {}),
    ...(typeof frame === 'string' ? { frame } : {}),
  }
}
