// CRC-32C as LevelDB uses it: Node's zlib has the other polynomial only.

const polynomial = 0x82f63b78
const slices = 8

/** One table of 256 for each of eight bytes taken at once. */
function makeTables(): Int32Array {
  const tables = new Int32Array(slices * 256)
  for (let n = 0; n < 256; n += 1) {
    let sum = n
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1
    tables[n] = sum
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] ?? 0
    tables[at] = (before >>> 8) ^ (tables[before & 255] ?? 0)
  }
  return tables
}

export class Crc32c {
  readonly #tables = makeTables()

  /** Of the bytes from `start` to `end`. */
  of(bytes: Buffer, start: number, end: number): number {
    const table = this.#tables
    let sum = -1
    let at = start
    for (; at + 8 <= end; at += 8) {
      const low = sum ^ bytes.readInt32LE(at)
      const high = bytes.readInt32LE(at + 4)
      sum =
        (table[1792 + (low & 255)] ?? 0) ^
        (table[1536 + ((low >>> 8) & 255)] ?? 0) ^
        (table[1280 + ((low >>> 16) & 255)] ?? 0) ^
        (table[1024 + (low >>> 24)] ?? 0) ^
        (table[768 + (high & 255)] ?? 0) ^
        (table[512 + ((high >>> 8) & 255)] ?? 0) ^
        (table[256 + ((high >>> 16) & 255)] ?? 0) ^
        (table[high >>> 24] ?? 0)
    }
    for (; at < end; at += 1) {
      sum = (table[(sum ^ bytes.readUInt8(at)) & 255] ?? 0) ^ (sum >>> 8)
    }
    return (sum ^ -1) >>> 0
  }

  /** As LevelDB stores it: a sum of bytes that hold sums would be weak. */
  maskedOf(bytes: Buffer, start: number, end: number): number {
    const sum = this.of(bytes, start, end)
    return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0
  }
}
