// Whether a process lives, by its number.
import { readFileSync } from 'node:fs'

/** The number may have been given to another one since. */
export function isAlive(pid: number): boolean {
  const status = statusOf(pid)
  // Linux has threads answer to the same calls.
  if (status !== undefined) return new RegExp(`^Tgid:\\s*${pid}$`, 'm').test(status)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function statusOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return undefined
  }
}
