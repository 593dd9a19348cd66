// The checksum of LevelDB's files.
import { crc32c } from '../crc32c.js'

/** Of the bytes from `start` to `end`, as LevelDB stores it: a sum of bytes that hold sums would be weak. */
export function maskedCrc32c(bytes: Buffer, start: number, end: number): number {
  const sum = crc32c(bytes, start, end)
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0
}
