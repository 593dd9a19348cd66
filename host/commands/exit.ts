// How the process ends: its exit codes, and what is said on standard error.
import { CommanderError } from 'commander'
import { errorCodes, HostError } from '../errors.js'

/** sysexits.h: internal software error. */
export const internalError = 70
/** sysexits.h: the command was used incorrectly. */
const usageError = 64

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
