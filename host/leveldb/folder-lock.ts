// The lock of a folder that this process alone may use: that of an empty database, which ends with the process however it ends.
import { mkdirSync } from 'node:fs'
import { ClassicLevel } from 'classic-level'
import { HostError } from '../errors.js'
import { inUse, own } from './owner.js'

/** `path`: a folder of its own, made if it is missing. Rejects with DATA_LOCKED, DATA_NOT_WRITABLE. */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const database = new ClassicLevel(path)
  try {
    mkdirSync(path, { recursive: true })
    await database.open()
    own(path)
  } catch (thrown) {
    await database.close().catch(() => {})
    throw isLocked(thrown) ? inUse('the data folder of', path, thrown) : notWritable(path, thrown)
  }
  return { [Symbol.asyncDispose]: () => database.close() }
}

const isLocked = (thrown: unknown): boolean =>
  thrown instanceof Error &&
  (('code' in thrown && thrown.code === 'LEVEL_LOCKED') || isLocked(thrown.cause))

const notWritable = (path: string, cause: unknown): HostError =>
  new HostError(
    'DATA_NOT_WRITABLE',
    `${path} cannot be written: ${cause instanceof Error ? cause.message : cause}; check the rights and the space, or choose another data folder`,
    { cause },
  )
