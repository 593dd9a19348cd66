// Undoes Snappy, as far as the index of a table file needs it.
import { Cursor } from './varint.js'

/** Throws on what was not packed by Snappy. */
export function unsnap(packed: Buffer): Buffer {
  const cursor = new Cursor(packed)
  const length = cursor.varint()
  // Nothing packs to less than a 64th.
  if (length > packed.length * 64 + 64) throw new RangeError('it would become too long')
  const out = Buffer.alloc(length)
  let at = 0
  const copy = (back: number, count: number) => {
    if (back === 0 || back > at || at + count > length) throw new RangeError('a copy from nowhere')
    for (const end = at + count; at < end; at += 1) out[at] = out[at - back] ?? 0
  }
  while (!cursor.isAtEnd) {
    const tag = cursor.take(1).readUInt8(0)
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const count = short < 60 ? short + 1 : cursor.take(short - 59).readUIntLE(0, short - 59) + 1
      if (at + count > length) throw new RangeError('it becomes longer than it says')
      at += cursor.take(count).copy(out, at)
    } else if (kind === 1) {
      copy(((tag >> 5) << 8) | cursor.take(1).readUInt8(0), ((tag >> 2) & 7) + 4)
    } else {
      const bytes = kind === 2 ? 2 : 4
      copy(cursor.take(bytes).readUIntLE(0, bytes), (tag >> 2) + 1)
    }
  }
  if (at !== length) throw new RangeError('it becomes shorter than it says')
  return out
}
