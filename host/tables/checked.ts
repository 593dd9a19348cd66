// A checksum beside each stored value, over the value and its key: LevelDB is not asked to verify the blocks it reads, so a flipped
// byte would be served as it is.
import { crc32 } from 'node:zlib'

const checkBytes = 4
const reusedBytes = 64 * 1024

/** In the order of the stored bytes: the value, then the checksum. */
export class Checked {
  readonly #reused = Buffer.alloc(reusedBytes)

  /** The result is good until the next call: a batch copies it. */
  seal(key: Buffer, value: Buffer): Buffer {
    const { length } = value
    const sealed =
      length + checkBytes <= reusedBytes
        ? this.#reused.subarray(0, length + checkBytes)
        : Buffer.allocUnsafe(length + checkBytes)
    sealed.set(value)
    sealed.writeUInt32LE(crc32(value, seedOf(key)), length)
    return sealed
  }
}

/** The value without its checksum, not copied; undefined: it is not what was stored under this key. */
export function unseal(key: Buffer, sealed: Buffer): Buffer | undefined {
  const length = sealed.length - checkBytes
  if (length < 0) return undefined
  const value = sealed.subarray(0, length)
  return crc32(value, seedOf(key)) === sealed.readUInt32LE(length) ? value : undefined
}

/** FNV-1a: for the few bytes of a key a call of zlib costs several times as much. */
function seedOf(key: Buffer): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ (key[i] ?? 0), 0x01000193)
  return hash >>> 0
}
