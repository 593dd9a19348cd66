// Looks over the files of a LevelDB database before it is opened: LevelDB itself does not verify what it reads, passes over what it
// cannot read, and takes a missing key for an answer.
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readJournal } from './journal.js'
import { type Manifest, readManifest } from './manifest.js'
import { inspectTable, type WantsBlock } from './table-file.js'

export interface InspectOptions {
  /** Of the table files; journals are read as a whole. Default: every block. */
  readonly wants?: WantsBlock
  /** The database was closed, so that nothing of it may end in the middle. */
  readonly isClosed?: boolean
}

export interface Damage {
  readonly file: string
  readonly problem: string
}

/** Undefined: it is sound as far as it was looked at, or there is none. Nobody may have it open. */
export async function inspectDatabase(
  path: string,
  { wants = () => true, isClosed = false }: InspectOptions = {},
): Promise<Damage | undefined> {
  const names: string[] = await readdir(path).catch(() => [])
  const current = names.includes('CURRENT')
    ? (await readFile(join(path, 'CURRENT'), 'utf8')).trim()
    : undefined
  if (current === undefined) {
    // A database has it from its first moment on.
    const left = names.find((name) => /\.(ldb|sst)$/.test(name) || name.startsWith('MANIFEST-'))
    return left === undefined ? undefined : { file: 'CURRENT', problem: 'it is gone' }
  }
  if (!names.includes(current)) {
    return { file: 'CURRENT', problem: `it names ${JSON.stringify(current)}, which is not there` }
  }
  const edits = readJournal(await readFile(join(path, current)))
  // One that was closed has no end that was not written.
  const damagedAt = edits.damagedAt ?? (isClosed ? edits.tornAt : undefined)
  if (damagedAt !== undefined) {
    return { file: current, problem: `its bytes from ${damagedAt} on are damaged` }
  }
  let manifest: Manifest
  try {
    manifest = readManifest(edits.records)
  } catch (error) {
    return { file: current, problem: `it is damaged (${String(error)})` }
  }
  return (
    (await inspectJournals(path, names, manifest, isClosed)) ??
    (await inspectTables(path, names, manifest, wants))
  )
}

async function inspectJournals(
  path: string,
  names: readonly string[],
  manifest: Manifest,
  isClosed: boolean,
): Promise<Damage | undefined> {
  for (const file of names.filter((name) => /^\d+\.log$/.test(name)).sort()) {
    if (Number.parseInt(file, 10) < manifest.journal) continue
    const { damagedAt, tornAt } = readJournal(await readFile(join(path, file)))
    const at = damagedAt ?? (isClosed ? tornAt : undefined)
    if (at !== undefined) return { file, problem: `its bytes from ${at} on are damaged` }
  }
  return undefined
}

async function inspectTables(
  path: string,
  names: readonly string[],
  manifest: Manifest,
  wants: WantsBlock,
): Promise<Damage | undefined> {
  const known = new Set(names)
  for (const [number, size] of manifest.tables) {
    const base = String(number).padStart(6, '0')
    const file = [`${base}.ldb`, `${base}.sst`].find((name) => known.has(name))
    if (file === undefined) return { file: `${base}.ldb`, problem: 'it is gone' }
    await using handle = await openForReading(join(path, file))
    const found = (await handle.file.stat()).size
    const problem =
      found === size
        ? await inspectTable(handle.file, size, wants)
        : `it has ${found} bytes, not ${size}`
    if (problem !== undefined) return { file, problem }
  }
  return undefined
}

async function openForReading(path: string) {
  const file = await open(path, 'r')
  return { file, [Symbol.asyncDispose]: async () => file.close() }
}
