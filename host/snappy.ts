// Undoes Snappy, the raw form: of LevelDB's files, and of Kafka's record batches.

const LITERAL = 0
const SHORT_COPY = 1
/** Shorter ones are copied byte by byte faster than by a call. */
const BY_CALL = 32

/** Throws a RangeError on what was not packed by Snappy. */
export function unsnap(packed: Buffer): Buffer {
  const size = packed.length
  let length = 0
  let from = 0
  for (let scale = 1, byte = 0x80; byte >= 0x80; scale *= 128) {
    if (from === size) throw new RangeError('it has no length')
    byte = packed[from++] ?? 0
    length += (byte & 0x7f) * scale
  }
  // Nothing packs to less than a 64th.
  if (length > size * 64 + 64) throw new RangeError('it would become too long')
  const out = Buffer.allocUnsafe(length)
  let to = 0
  while (from < size) {
    const tag = packed[from++] ?? 0
    const kind = tag & 3
    if (kind === LITERAL) {
      let count = (tag >> 2) + 1
      if (count > 60) {
        const bytes = count - 60
        count = packed.readUIntLE(from, bytes) + 1
        from += bytes
      }
      if (from + count > size) throw new RangeError('it is cut off')
      if (to + count > length) throw new RangeError('it becomes longer than it says')
      if (count < BY_CALL) {
        for (let i = 0; i < count; i++) out[to + i] = packed[from + i] ?? 0
      } else {
        packed.copy(out, to, from, from + count)
      }
      from += count
      to += count
      continue
    }
    let count = (tag >> 2) + 1
    let back: number
    if (kind === SHORT_COPY) {
      count = ((tag >> 2) & 7) + 4
      back = ((tag >> 5) << 8) | packed.readUInt8(from++)
    } else {
      const bytes = kind === 2 ? 2 : 4
      back = packed.readUIntLE(from, bytes)
      from += bytes
    }
    if (back === 0 || back > to || to + count > length) throw new RangeError('a copy from nowhere')
    if (count < BY_CALL || back < count) {
      // Byte by byte: it may copy what it has just made.
      for (const end = to + count; to < end; to++) out[to] = out[to - back] ?? 0
    } else {
      out.copyWithin(to, to - back, to - back + count)
      to += count
    }
  }
  if (to !== length) throw new RangeError('it becomes shorter than it says')
  return out
}
