// The name of a data folder: made once and kept in it, so that a host is known for the one that died in it before.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HostError } from './errors.js'
import { writeWhole } from './whole-file.js'

export interface DataId {
  readonly id: string
  /** No host was here before. */
  readonly isNew: boolean
}

/** Only by who has the folder's lock. Rejects with DATA_NOT_WRITABLE. */
export async function dataId(folder: string): Promise<DataId> {
  const file = join(folder, 'id')
  const known = await readFile(file, 'utf8').catch(() => '')
  if (/^[0-9a-f]{12}$/.test(known)) return { id: known, isNew: false }
  const id = randomBytes(6).toString('hex')
  try {
    await writeWhole(file, id)
  } catch (cause) {
    throw new HostError(
      'DATA_NOT_WRITABLE',
      `${file} cannot be written: ${cause instanceof Error ? cause.message : cause}; check the rights and the space, or choose another data folder`,
      { cause },
    )
  }
  return { id, isNew: true }
}
