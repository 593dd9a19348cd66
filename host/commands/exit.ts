// How the process ends: its exit codes, and what is said on standard error.
import { CommanderError } from 'commander'
import { errorCodes, HostError } from '../errors.js'
import { signalExitCode } from '../signals.js'

/** Every code that a command may end with; docs/commands.md says the same. */
export const exitCodes = {
  done: 0,
  /** The host refused it, or something was found that is not right. */
  refused: 1,
  /** sysexits.h: the command was used incorrectly. */
  usage: 64,
  /** sysexits.h: the data were made by another version. */
  data: 65,
  /** sysexits.h: a service is unavailable. */
  unavailable: 69,
  /** sysexits.h: internal software error. */
  internal: 70,
  /** sysexits.h: a file cannot be made. */
  cannotCreate: 73,
  /** sysexits.h: a temporary failure. */
  inUse: 75,
  /** sysexits.h: the configuration is not right. */
  config: 78,
  /** SIGHUP, SIGINT, SIGTERM, as shells have them. */
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const

export const internalError = exitCodes.internal
const usageError = exitCodes.usage

/** sysexits.h: a service is unavailable; a temporary failure. Of what was free before, and is likely to be so again. */
const passingErrors: readonly number[] = [
  errorCodes.PORT_IN_USE.exit,
  errorCodes.CANNOT_LISTEN.exit,
  errorCodes.DATA_LOCKED.exit,
]
const configErrors: readonly number[] = [
  errorCodes.BAD_CONFIG.exit,
  errorCodes.DATA_NOT_WRITABLE.exit,
  errorCodes.DATA_LAYOUT.exit,
]
/** A second signal. */
const endedAtOnce: readonly number[] = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(
  signalExitCode,
)

/**
 * Is it of no use to start the host again? One that has never listened says what is wrong, and somebody is there to read it; one
 * that has listened is started anew unless it was stopped or its configuration is not right any more.
 */
export function isFinalExit(code: number, hasListened: boolean): boolean {
  if ([0, usageError, ...endedAtOnce, ...configErrors].includes(code)) return true
  return !hasListened && [1, internalError, ...passingErrors].includes(code)
}

/** A command that was stopped by a signal, when what it had done is said already. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/** Without a stack: what was done wrong is in the message. For programs as one line of JSON. Returns the exit code. */
export function report(thrown: unknown, { json = false } = {}): number {
  if (thrown instanceof Interrupted) return exitCodes.interrupted
  if (thrown instanceof CommanderError) {
    if (thrown.exitCode === 0) return exitCodes.done
    // For people commander has written it already.
    if (json) writeError({ code: 'BAD_USAGE', message: thrown.message.replace(/^error: /, '') })
    return usageError
  }
  if (thrown instanceof HostError) {
    const { code, message, details } = thrown
    if (json) writeError({ code, message, ...(details === undefined ? {} : { details }) })
    else process.stderr.write(`millrace: ${code}: ${message}\n`)
    const entry = errorCodes[code]
    return 'exit' in entry ? entry.exit : exitCodes.refused
  }
  if (json) {
    writeError({
      code: 'INTERNAL',
      message: thrown instanceof Error ? thrown.message : String(thrown),
    })
    return internalError
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  process.stderr.write(`millrace: an error of its own: ${stack}\n`)
  return internalError
}

/** Not before everything written is out: a pipe may still hold the last lines. */
export async function end(code: number): Promise<never> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          stream.once('error', () => resolve())
          stream.write('', () => resolve())
        }),
    ),
  )
  process.exit(code)
}

const writeError = (error: object): void => {
  process.stderr.write(`${JSON.stringify({ error })}\n`)
}
