// Opens the log's database, and says in the host's words why it cannot be opened.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { HostError } from '../../errors.js'
import { LAYOUT, layoutKey } from './layout.js'

export type Database = ClassicLevel<Buffer, Buffer>

const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/** A handle of this thread. The first handle of a process has to be closed last. */
export async function openHandle(path: string): Promise<Database> {
  const database: Database = new ClassicLevel(path, {
    ...encodings,
    multithreading: true,
    cacheSize: 16 * 1024 * 1024,
    // A flush of a busy function is some hundred kilobytes: fewer, larger tables cost less compaction.
    writeBufferSize: 16 * 1024 * 1024,
  })
  await open(database, path)
  return database
}

/**
 * Sees to it that nobody has the log open, this process included, and that its layout is ours. Handles with
 * `multithreading` alone would let one process open a log twice.
 */
export async function claim(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    throw notWritable(path, cause)
  }
  const database: Database = new ClassicLevel(path, encodings)
  await open(database, path)
  try {
    const layout = await database.get(layoutKey)
    if (layout === undefined) {
      const [first] = await database.keys({ limit: 1 }).all()
      if (first !== undefined) throw foreign(path, 'something else')
      await database.put(layoutKey, Buffer.from(LAYOUT))
    } else if (layout.toString() !== LAYOUT) {
      throw foreign(path, `'${layout.toString('utf8', 0, 40)}'`)
    }
    await writeFile(ownerFile(path), `${process.pid}\n`)
  } catch (cause) {
    throw cause instanceof HostError ? cause : notWritable(path, cause)
  } finally {
    await database.close()
  }
}

async function open(database: Database, path: string): Promise<void> {
  try {
    await database.open()
  } catch (thrown) {
    const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'LEVEL_LOCKED') throw await locked(path, cause)
    if (code === 'LEVEL_CORRUPTION') {
      throw new HostError(
        'LOG_FAILED',
        `the log in ${path} is damaged: restore the folder from a copy, or move it away to begin anew`,
        { cause },
      )
    }
    throw notWritable(path, cause)
  }
}

const ownerFile = (path: string): string => join(path, 'owner.pid')

async function locked(path: string, cause: unknown): Promise<HostError> {
  const owner = await readFile(ownerFile(path), 'utf8').then(
    (pid) => ` by process ${pid.trim()}`,
    () => '',
  )
  return new HostError(
    'DATA_LOCKED',
    `the log in ${path} is in use${owner}: stop that process, or choose another data folder`,
    { cause },
  )
}

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
