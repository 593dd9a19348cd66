// Damage to the files of a table that nobody has open, as a disk may do it.
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

/** What LevelDB knows its files by is cut off. `folder`: of one table. */
export function cutManifest(folder: string): void {
  for (const name of readdirSync(folder).filter((name) => name.startsWith('MANIFEST-'))) {
    truncateSync(join(folder, name), 10)
  }
}

/** Each file with entries has one byte that is another, at so much of its length. */
export function flipBytes(folder: string, place: number): void {
  for (const name of readdirSync(folder).filter((name) => /\.(ldb|log)$/.test(name))) {
    const file = openSync(join(folder, name), 'r+')
    const { size } = fstatSync(file)
    const at = Math.floor(size * place)
    const byte = Buffer.alloc(1)
    if (readSync(file, byte, 0, 1, at) === 1) {
      byte.writeUInt8(byte.readUInt8() ^ 0xff)
      writeSync(file, byte, 0, 1, at)
    }
    closeSync(file)
  }
}
