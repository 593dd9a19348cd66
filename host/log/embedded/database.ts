// Opens the log's database, and says in the host's words why it cannot be opened.
import { mkdir } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { ClassicLevel } from 'classic-level'
import { HostError } from '../../errors.js'
import { handleOptions, type LevelMemory } from '../../leveldb/handle.js'
import type { Damage } from '../../leveldb/inspect.js'
import { disown, inUse, isInUse, isOurs, own } from '../../leveldb/owner.js'
import { LAYOUT, layoutKey, unseal } from './layout.js'
import { breakSeal, inspectLog, sealLog } from './soundness.js'

export type Database = ClassicLevel<Buffer, Buffer>
export type Snapshot = ReturnType<Database['snapshot']>

const lookAgainMs = 100

/** A further handle, in any thread. */
export async function openHandle(path: string, memory: LevelMemory = {}): Promise<Database> {
  const database: Database = new ClassicLevel(path, handleOptions(memory))
  await open(database, path)
  return database
}

/** The first handle of the process, which has to be closed last, by `closeOwned`: its end unlocks the folder. */
export async function openOwned(path: string, memory: LevelMemory = {}): Promise<Database> {
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    throw notWritable(path, cause)
  }
  if (isOurs(path)) throw locked(path)
  const found = await lastingDamage(path)
  if (found !== undefined) throw harmed(path, found)
  breakSeal(path)
  const database = await openHandle(path, memory)
  let isClaimed = false
  try {
    claim(path)
    isClaimed = true
    // Whoever has let go of the folder just now may have sealed what is ours already.
    breakSeal(path)
    await checkLayout(path, database)
    return database
  } catch (thrown) {
    if (isClaimed) await closeOwned(path, database, false)
    else await database.close()
    throw isCorruption(thrown) ? damaged(path, thrown) : thrown
  }
}

/** What another process writes just now must not be called damage: opening it tells, and what is damaged stays so. */
async function lastingDamage(path: string): Promise<Damage | undefined> {
  if (isInUse(path) || (await inspectLog(path)) === undefined) return undefined
  await pause(lookAgainMs)
  return isInUse(path) ? undefined : await inspectLog(path)
}

/** `isWhole`: no write has failed, so that what is missing in it later is damage. */
export async function closeOwned(
  path: string,
  database: Database,
  isWhole: boolean,
): Promise<void> {
  await database.close()
  // The lock is gone: the folder may be another's by now, who writes to it.
  if (isWhole && isOurs(path)) sealLog(path)
  disown(path)
}

/**
 * LevelDB keeps other processes out, but lets this one open the folder as often as it likes. Trying it without `multithreading`
 * would drop the lock: POSIX takes a process's lock away with any descriptor of the file that the process closes.
 */
function claim(path: string): void {
  // Synchronous: of two opens at the same time one has to see the other.
  if (isOurs(path)) throw locked(path)
  try {
    own(path)
  } catch (cause) {
    throw notWritable(path, cause)
  }
}

/** A value that is no entry. */
export async function readRow(
  database: Database,
  key: Buffer,
  snapshot?: Snapshot,
): Promise<Buffer | undefined> {
  const stored = await database.get(key, { snapshot })
  return stored === undefined ? undefined : checked(database, key, stored)
}

export async function readRows(
  database: Database,
  range: { readonly gte: Buffer; readonly lt: Buffer },
): Promise<(readonly [key: Buffer, value: Buffer])[]> {
  const found = await database.iterator(range).all()
  return found.map(([key, stored]) => [key, checked(database, key, stored)])
}

function checked(database: Database, key: Buffer, stored: Buffer): Buffer {
  const value = unseal(key, stored)
  if (value !== undefined) return value
  const what = `what is stored under ${key.toString('hex')} has another checksum`
  throw damaged(database.location, new Error(what))
}

async function checkLayout(path: string, database: Database): Promise<void> {
  const layout = await database.get(layoutKey)
  if (layout === undefined) {
    const [first] = await database.keys({ limit: 1 }).all()
    if (first !== undefined) throw foreign(path, 'something else')
    await database.put(layoutKey, Buffer.from(LAYOUT))
  } else if (layout.toString() !== LAYOUT) {
    throw foreign(path, `'${layout.toString('utf8', 0, 40)}'`)
  }
}

async function open(database: Database, path: string): Promise<void> {
  try {
    await database.open()
  } catch (thrown) {
    const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'LEVEL_LOCKED') throw locked(path, cause)
    if (isCorruption(cause)) throw damaged(path, cause)
    throw notWritable(path, cause)
  }
}

/** Of what reading has thrown: the files themselves are damaged. */
export function isCorruption(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  // A table file that was cut short is an invalid argument to LevelDB, not a corruption.
  if (/\.ldb: Invalid argument$/.test(thrown.message)) return true
  return ('code' in thrown && thrown.code === 'LEVEL_CORRUPTION') || isCorruption(thrown.cause)
}

/** Also of an error that has crossed threads, and has its message alone. */
export const isDiskFull = (thrown: unknown): boolean =>
  says(thrown, /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/) ||
  (thrown instanceof HostError && thrown.code === 'DISK_FULL')

/** What may pass without anybody's doing, or when somebody has seen to the disk. */
export const isDiskTrouble = (thrown: unknown): boolean =>
  isDiskFull(thrown) || says(thrown, /^IO error: /)

const says = (thrown: unknown, what: RegExp): boolean =>
  thrown instanceof Error && (what.test(thrown.message) || says(thrown.cause, what))

export const damaged = (path: string, cause: unknown): HostError =>
  new HostError(
    'LOG_DAMAGED',
    `the log in ${path} is damaged: restore the folder from a copy, or move it away to begin anew`,
    { cause },
  )

function harmed(path: string, { file, problem }: Damage): HostError {
  return new HostError(
    'LOG_DAMAGED',
    `the log in ${path} is damaged: of ${file}, ${problem}; something other than the host has changed it, or the disk has. ` +
      'Restore the folder from a copy, or move it away to begin anew',
    { details: { file } },
  )
}

const locked = (path: string, cause?: unknown): HostError => inUse('the log in', path, cause)

const notWritable = (path: string, cause: unknown): HostError =>
  new HostError(
    'DATA_NOT_WRITABLE',
    `the log cannot be opened for writing in ${path}: ${cause instanceof Error ? cause.message : cause}; ` +
      'check the rights and the space, or choose another data folder',
    { cause },
  )

const foreign = (path: string, found: string): HostError =>
  new HostError(
    'DATA_LAYOUT',
    `the folder ${path} holds ${found}, not '${LAYOUT}': use the version of millrace that wrote it, or another folder`,
  )
