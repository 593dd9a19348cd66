// How the process ends: its exit codes, and what is said on standard error.
import { CommanderError } from 'commander'
import { errorCodes, HostError } from '../errors.js'
import { signalExitCode } from '../signals.js'

/** sysexits.h: internal software error. */
export const internalError = 70
/** sysexits.h: the command was used incorrectly. */
const usageError = 64

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

/** For people, without a stack: what was done wrong is in the message. Returns the exit code. */
export function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : usageError
  if (thrown instanceof HostError) {
    process.stderr.write(`millrace: ${thrown.code}: ${thrown.message}\n`)
    const entry = errorCodes[thrown.code]
    return 'exit' in entry ? entry.exit : 1
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
