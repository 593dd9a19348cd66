// Whether the log's files are as they were left: looked at before they are opened, since opening them rewrites some.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Damage, inspectDatabase } from '../../leveldb/inspect.js'
import type { WantsBlock } from '../../leveldb/table-file.js'
import { isWithinPartition } from './layout.js'

/** Names each file that belongs to a log that was closed, with its size: then nothing of it may be missing, not even at its end. */
const sealFile = (path: string): string => join(path, 'closed.json')

interface Seal {
  /** The content of CURRENT. LevelDB writes another at each opening: what has opened it since has broken the seal. */
  readonly current: string
  readonly files: Readonly<Record<string, number>>
}

/**
 * Undefined: sound, or not to be told. Blocks whose entries are of one partition, and not its last, are left out: a reader misses what
 * is gone there, and each entry has its own checksum. So the time that it takes hardly grows with the log.
 */
export async function inspectLog(path: string): Promise<Damage | undefined> {
  const seal = readSeal(path)
  for (const [file, size] of Object.entries(seal?.files ?? {})) {
    const found = statSync(join(path, file), { throwIfNoEntry: false })?.size
    if (found === undefined) return { file, problem: 'it is gone' }
    if (found !== size) return { file, problem: `it has ${found} bytes, not ${size}` }
  }
  try {
    return await inspectDatabase(path, { wants: holdsMore, isClosed: seal !== undefined })
  } catch {
    // It cannot be read at all, or somebody else has it open: opening it tells.
    return undefined
  }
}

const holdsMore: WantsBlock = (from, upTo, next) =>
  from === undefined || next === undefined || !isWithinPartition(from, upTo, next)

/** Only of a log whose last write did not fail. */
export function sealLog(path: string): void {
  try {
    const names = readdirSync(path).filter((name) => /^(MANIFEST-\d+|\d+\.\w+)$/.test(name))
    const seal: Seal = {
      current: readFileSync(join(path, 'CURRENT'), 'utf8'),
      files: Object.fromEntries(names.map((name) => [name, statSync(join(path, name)).size])),
    }
    writeFileSync(sealFile(path), JSON.stringify(seal))
  } catch {
    // On a full disk, for instance: it is opened as one that was not closed.
    breakSeal(path)
  }
}

/** Before anything is written: what the seal says is over. */
export function breakSeal(path: string): void {
  rmSync(sealFile(path), { force: true })
}

function readSeal(path: string): Seal | undefined {
  try {
    const seal: Seal = JSON.parse(readFileSync(sealFile(path), 'utf8'))
    return seal.current === readFileSync(join(path, 'CURRENT'), 'utf8') ? seal : undefined
  } catch {
    return undefined
  }
}
