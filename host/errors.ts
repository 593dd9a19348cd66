// The one error class of the host and the one table of its codes; docs/errors.md explains each to a person.

/** For each code: is trying again of use, the HTTP status it answers with, and the exit code when it ends the process. */
export const errorCodes = {
  // requests
  UNKNOWN_STREAM: { retryable: false, status: 404 },
  UNKNOWN_TABLE: { retryable: false, status: 404 },
  UNKNOWN_FUNCTION: { retryable: false, status: 404 },
  UNKNOWN_VISITOR: { retryable: false, status: 404 },
  UNKNOWN_ROUTE: { retryable: false, status: 404 },
  KEY_NOT_FOUND: { retryable: false, status: 404 },
  BAD_REQUEST: { retryable: false, status: 400 },
  BAD_JSON: { retryable: false, status: 400 },
  BAD_VALUE: { retryable: false, status: 400 },
  BAD_LINE: { retryable: false, status: 400 },
  BAD_KEY: { retryable: false, status: 400 },
  BAD_TOKEN: { retryable: false, status: 400 },
  BAD_CURSOR: { retryable: false, status: 400 },
  STREAM_NOT_UPSTREAM: { retryable: false, status: 400 },
  KEY_TOO_LONG: { retryable: false, status: 400 },
  BODY_TOO_LARGE: { retryable: false, status: 413 },
  UNAUTHENTICATED: { retryable: false, status: 401 },
  FORBIDDEN: { retryable: false, status: 403 },
  OVERLOADED: { retryable: true, status: 429 },
  RECOVERING: { retryable: true, status: 503 },
  STOPPING: { retryable: true, status: 503 },
  NOT_ROUTED: { retryable: true, status: 503 },
  PEER_UNREACHABLE: { retryable: true, status: 503 },
  PEER_REFUSED: { retryable: false, status: 502 },
  WAIT_TIMEOUT: { retryable: true, status: 504 },
  GATE_TIMEOUT: { retryable: false, status: 400 },
  INTERNAL: { retryable: false, status: 500 },
  // the command line
  HOST_UNREACHABLE: { retryable: true, status: 503, exit: 69 },
  ANSWER_LOST: { retryable: false, status: 502, exit: 69 },
  FOLDER_NOT_EMPTY: { retryable: false, status: 409, exit: 73 },
  // visits
  NOT_RUNNING: { retryable: false, status: 409 },
  VISIT_RUNNING: { retryable: true, status: 409 },
  VISIT_ABORTED: { retryable: false, status: 409 },
  VISIT_FAILED: { retryable: false, status: 500 },
  // function files
  BUILD_FAILED: { retryable: false, status: 422 },
  LOAD_FAILED: { retryable: false, status: 422 },
  LOAD_TIMEOUT: { retryable: false, status: 422 },
  BAD_DEFINITION: { retryable: false, status: 422 },
  TABLE_MISMATCH: { retryable: false, status: 422 },
  BAD_FUNCTION_NAME: { retryable: false, status: 422 },
  DUPLICATE_FUNCTION: { retryable: false, status: 422 },
  FUNCTION_CONFLICT: { retryable: false, status: 422 },
  QUARANTINED: { retryable: false, status: 500 },
  // records
  HANDLER_FAILED: { retryable: true, status: 500 },
  RECORD_FAILED: { retryable: false, status: 500 },
  UNDECODABLE: { retryable: false, status: 500 },
  UNENCODABLE: { retryable: false, status: 500 },
  MISUSED_CONTEXT: { retryable: false, status: 500 },
  // log and tables
  LOG_CLOSED: { retryable: true, status: 503 },
  LOG_FAILED: { retryable: true, status: 503 },
  DISK_FULL: { retryable: true, status: 503 },
  LOG_DAMAGED: { retryable: false, status: 500 },
  UNSUPPORTED_FORMAT: { retryable: false, status: 500 },
  PACKAGE_MISSING: { retryable: false, status: 500 },
  BROKER_UNAVAILABLE: { retryable: true, status: 503 },
  BROKER_REFUSED: { retryable: false, status: 500 },
  BROKER_UNSUPPORTED: { retryable: false, status: 500 },
  OFFSET_OUT_OF_RANGE: { retryable: false, status: 500 },
  UNKNOWN_TOPIC: { retryable: false, status: 500 },
  TOPIC_MISMATCH: { retryable: false, status: 500 },
  EDGES_DIFFER: { retryable: false, status: 409 },
  GROUP_IN_USE: { retryable: true, status: 503 },
  RECORD_TOO_LARGE: { retryable: false, status: 413 },
  MOVE_CONFLICT: { retryable: false, status: 409 },
  MOVE_DIFFERS: { retryable: false, status: 500 },
  MOVE_UNFINISHED: { retryable: false, status: 503, exit: 78 },
  FENCED: { retryable: false, status: 503 },
  POSITIONS_LOST: { retryable: false, status: 500 },
  INPUT_LOST: { retryable: false, status: 500 },
  STORE_FAILED: { retryable: true, status: 503 },
  STORE_DAMAGED: { retryable: false, status: 503 },
  WORKER_DIED: { retryable: true, status: 503 },
  // start
  BAD_CONFIG: { retryable: false, status: 500, exit: 78 },
  TOKENS_REQUIRED: { retryable: false, status: 500, exit: 78 },
  PORT_IN_USE: { retryable: false, status: 500, exit: 69 },
  CANNOT_LISTEN: { retryable: false, status: 500, exit: 69 },
  DATA_NOT_WRITABLE: { retryable: false, status: 500, exit: 73 },
  DATA_LOCKED: { retryable: false, status: 500, exit: 75 },
  DATA_LAYOUT: { retryable: false, status: 500, exit: 65 },
} as const satisfies Record<string, { retryable: boolean; status: number; exit?: number }>

export type ErrorCode = keyof typeof errorCodes

/** Where in the streams an error happened, and what a caller may be told besides the message. */
export interface ErrorContext {
  readonly cause?: unknown
  readonly function?: string
  readonly stream?: string
  readonly partition?: number
  readonly offset?: number
  /** Shown to HTTP callers as `error.details`. */
  readonly details?: unknown
}

/** Everything that the host throws on purpose. The code is stable, the message says what to do. */
export class HostError extends Error {
  override readonly name = 'HostError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly status: number
  readonly function?: string
  readonly stream?: string
  readonly partition?: number
  readonly offset?: number
  readonly details?: unknown

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause })
    this.code = code
    this.retryable = errorCodes[code].retryable
    this.status = errorCodes[code].status
    if (context.function !== undefined) this.function = context.function
    if (context.stream !== undefined) this.stream = context.stream
    if (context.partition !== undefined) this.partition = context.partition
    if (context.offset !== undefined) this.offset = context.offset
    if (context.details !== undefined) this.details = context.details
  }
}

/** The error as it crosses a thread: what structured clone would drop is kept. */
export interface PlainError {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly code?: string
  readonly details?: unknown
  readonly function?: string
  readonly stream?: string
  readonly partition?: number
  readonly offset?: number
  readonly cause?: PlainError
}

// Deeper chains are cut: somebody's `cause` may lead back to itself.
const maxCauses = 8

/** Packs any thrown value for another thread. Never throws, whatever user code has thrown. */
export function toPlainError(thrown: unknown, causes = maxCauses): PlainError {
  try {
    return plain(thrown, causes)
  } catch {
    return { name: 'Error', message: 'a value was thrown that cannot be shown' }
  }
}

function plain(thrown: unknown, causes: number): PlainError {
  // An error of another vm realm or thread is no instance of ours, yet has a message.
  if (typeof thrown !== 'object' || thrown === null || !('message' in thrown)) {
    return { name: 'Error', message: `a value that is no error was thrown: ${String(thrown)}` }
  }
  const { name, message, stack, cause } = thrown as Record<string, unknown>
  return {
    name: typeof name === 'string' ? className(thrown, name) : 'Error',
    message: String(message),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(thrown instanceof HostError ? pick(thrown) : {}),
    ...(cause === undefined || causes === 0 ? {} : { cause: toPlainError(cause, causes - 1) }),
  }
}

/** A class of somebody's own rarely sets the name. */
function className(thrown: object, name: string): string {
  const { constructor: made } = thrown
  const own = typeof made === 'function' ? made.name : ''
  return name === 'Error' && own !== '' ? own : name
}

/** The reverse of `toPlainError`. An error that had no code of ours becomes `fallback`. */
export function fromPlainError(plain: PlainError, fallback: ErrorCode = 'INTERNAL'): HostError {
  const error = new HostError(isErrorCode(plain.code) ? plain.code : fallback, plain.message, {
    ...pick(plain),
    ...(plain.cause === undefined ? {} : { cause: fromPlainError(plain.cause, fallback) }),
  })
  if (plain.stack !== undefined) error.stack = plain.stack
  return error
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
}

/** Any thrown value as a HostError: ours stay as they are, others become the cause of one. */
export function asHostError(thrown: unknown, code: ErrorCode = 'INTERNAL'): HostError {
  if (thrown instanceof HostError) return thrown
  return new HostError(code, toPlainError(thrown, 0).message, { cause: thrown })
}

function pick(from: Omit<PlainError, 'cause'>): Omit<ErrorContext, 'cause'> & { code?: string } {
  return {
    ...(from.code === undefined ? {} : { code: from.code }),
    ...(from.function === undefined ? {} : { function: from.function }),
    ...(from.stream === undefined ? {} : { stream: from.stream }),
    ...(from.partition === undefined ? {} : { partition: from.partition }),
    ...(from.offset === undefined ? {} : { offset: from.offset }),
    ...(from.details === undefined ? {} : { details: from.details }),
  }
}
