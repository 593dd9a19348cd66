// The lock of a folder that this process alone may use: that of an empty database, which ends with the process however it ends.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { HostError } from '../errors.js'

/** `path`: a folder of its own, made if it is missing. Rejects with DATA_LOCKED, DATA_NOT_WRITABLE. */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const owner = join(path, 'owner.pid')
  const database = new ClassicLevel(path)
  try {
    mkdirSync(path, { recursive: true })
    await database.open()
    writeFileSync(owner, String(process.pid))
  } catch (thrown) {
    await database.close().catch(() => {})
    throw isLocked(thrown) ? locked(path, owner, thrown) : notWritable(path, thrown)
  }
  return { [Symbol.asyncDispose]: () => database.close() }
}

const isLocked = (thrown: unknown): boolean =>
  thrown instanceof Error &&
  (('code' in thrown && thrown.code === 'LEVEL_LOCKED') || isLocked(thrown.cause))

function locked(path: string, owner: string, cause: unknown): HostError {
  let by = ''
  try {
    by = ` by process ${readFileSync(owner, 'utf8')}`
  } catch {
    // Whoever has it has not put down its name yet.
  }
  return new HostError(
    'DATA_LOCKED',
    `the data folder of ${path} is in use${by}: stop that process, or choose another data folder`,
    { cause },
  )
}

const notWritable = (path: string, cause: unknown): HostError =>
  new HostError(
    'DATA_NOT_WRITABLE',
    `${path} cannot be written: ${cause instanceof Error ? cause.message : cause}; check the rights and the space, or choose another data folder`,
    { cause },
  )
