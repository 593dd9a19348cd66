// What the host says to people and to machines that collect it: one small interface, pino behind it.
import { createRequire } from 'node:module'
import { Writable } from 'node:stream'
import pino from 'pino'
import type pinoPretty from 'pino-pretty'

/** Facts beside the message. An `error` field is shown with its code and stack. */
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The same logger, with these fields on every line. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** auto: pretty on a terminal, else a JSON object a line. */
  readonly format: 'auto' | 'pretty' | 'json'
  /** Absent: standard output, written synchronously, so that nothing is lost when the process ends. */
  readonly stream?: { write(text: string): unknown }
}

/** For the main thread only: other threads send it what they have to say. */
export function createLogger({ level, format, stream }: LoggerOptions): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: {
      // That of a thread is plain already.
      error: (value: unknown) => (value instanceof Error ? pino.stdSerializers.err(value) : value),
    },
  }
  const target = isPretty(format)
    ? prettyStream(stream)
    : stream === undefined
      ? pino.destination({ dest: 1, sync: true })
      : { write: (text: string) => void stream.write(text) }
  return wrap(pino(options, target))
}

/** What `auto` comes to here. */
export function isPretty(format: LoggerOptions['format']): boolean {
  return format === 'pretty' || (format === 'auto' && process.stdout.isTTY === true)
}

function prettyStream(stream: LoggerOptions['stream']): pino.DestinationStream {
  // Loaded on demand: it costs 30 ms of start-up, and production has no use for it.
  const pretty: typeof pinoPretty = createRequire(import.meta.url)('pino-pretty')
  const isColored = stream === undefined && process.stdout.isTTY === true && !process.env.NO_COLOR
  return pretty({
    colorize: isColored,
    translateTime: 'SYS:HH:MM:ss.l',
    sync: true,
    ...(isColored ? { messageFormat: coloredMessage } : {}),
    errorLikeObjectKeys: ['err', 'error'],
    customPrettifiers: Object.fromEntries(lists.map((name) => [name, inOneLine])),
    destination:
      stream === undefined
        ? 1
        : new Writable({
            decodeStrings: false,
            write(text, _encoding, done) {
              stream.write(String(text))
              done()
            },
          }),
  })
}

/** Fields that are lists: each entry in a line of its own would push away what matters. */
const lists = ['partitions', 'kept', 'standbys', 'streams', 'tables'] as const
const inOneLine = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(String).join(', ')}]` : String(value)

const codes = { reset: '\u001b[0m', bold: '\u001b[1m', red: '\u001b[31m' } as const

/** pino-pretty colours the whole message: below its first line it is plain, but for the line of a code frame that is meant. */
export function coloredMessage(line: Readonly<Record<string, unknown>>, key: string): string {
  const [first = '', ...rest] = String(line[key] ?? '').split('\n')
  const shown = rest.map((text) => {
    if (/^> *\d+ \|/.test(text)) return `${codes.bold}${text}${codes.reset}`
    return /^ +\| +\^/.test(text) ? `${codes.red}${text}${codes.reset}` : text
  })
  return rest.length === 0 ? first : [first + codes.reset, ...shown].join('\n')
}

function wrap(inner: pino.Logger): Logger {
  return {
    debug: (message, fields = {}) => inner.debug(fields, message),
    info: (message, fields = {}) => inner.info(fields, message),
    warn: (message, fields = {}) => inner.warn(fields, message),
    error: (message, fields = {}) => inner.error(fields, message),
    child: (fields) => wrap(inner.child(fields)),
  }
}
