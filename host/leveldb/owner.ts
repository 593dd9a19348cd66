// Whose the folder of a database is: a file with the owner's name, for what LevelDB's own lock does not tell.
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HostError } from '../errors.js'
import { isAlive } from '../process-alive.js'

/** In a container every start may have the same pid. */
const ownName = (): string => `${process.pid} ${performance.timeOrigin}`

const ownerFile = (path: string): string => join(path, 'owner.pid')

export const isOurs = (path: string): boolean => readOwner(path) === ownName()

/** As the file says, whether it still lives or not. */
export function ownerPid(path: string): number | undefined {
  const pid = Number.parseInt(readOwner(path) ?? '', 10)
  return pid > 0 ? pid : undefined
}

/** Throws what the disk says. */
export function own(path: string): void {
  writeFileSync(ownerFile(path), ownName())
}

export function disown(path: string): void {
  if (isOurs(path)) rmSync(ownerFile(path), { force: true })
}

/** `what`: of the path, as in "the log in". */
export function inUse(what: string, path: string, cause?: unknown): HostError {
  const pid = ownerPid(path)
  const by = pid === undefined ? '' : ` by process ${pid}`
  return new HostError(
    'DATA_LOCKED',
    `${what} ${path} is in use${by}: stop that process, or choose another data folder`,
    { cause },
  )
}

/** By another process that lives. Of two that cannot be told apart, the one that may be writing is meant. */
export function isInUse(path: string): boolean {
  const locked = isLocked(join(path, 'LOCK'))
  // Whoever has it may not have put down its name yet.
  if (locked === true) return true
  const pid = ownerPid(path)
  if (pid === undefined || pid === process.pid || !isAlive(pid)) return false
  // The number may be another process by now: after a crash a file that is damaged would not be looked for.
  return locked ?? true
}

/** Undefined: this system does not tell. */
function isLocked(file: string): boolean | undefined {
  const locks = read('/proc/locks')
  // Locks of processes that cannot be seen from here are not in it; the one that is meant can.
  if (locks === undefined) return undefined
  const found = statSync(file, { throwIfNoEntry: false })
  return found !== undefined && locks.includes(`:${found.ino} `)
}

const readOwner = (path: string): string | undefined => read(ownerFile(path))

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
