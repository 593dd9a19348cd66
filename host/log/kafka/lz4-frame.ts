// Undoes a frame of LZ4 block by block: the package takes eight times as long when it is given the frame.
import type * as Lz4 from 'lz4-napi'

const MAGIC = 0x184d2204
const HEAD_BYTES = 7
const IS_INDEPENDENT = 0x20
const HAS_BLOCK_CHECKS = 0x10
const HAS_CONTENT_SIZE = 0x08
const HAS_DICTIONARY = 0x01
const NOT_PACKED = 0x80000000
/** Nothing packs to less. */
const MOST_TO_ONE = 255

/** Its own checksums are not looked at: the batch that holds it has one of all. Throws on what is no frame. */
export function unpackFrame(frame: Buffer, lz4: typeof Lz4): Buffer {
  const flags = frame.readUInt8(4)
  const size = frame.readUInt8(5) >> 4
  // Kafka wants blocks that stand alone, as every client writes them; the package can do the others, too.
  if (
    frame.readUInt32LE(0) !== MAGIC ||
    size < 4 ||
    (flags & IS_INDEPENDENT) === 0 ||
    (flags & HAS_DICTIONARY) !== 0
  ) {
    return lz4.decompressFrameSync(frame)
  }
  const maxBytes = 1 << (8 + 2 * size)
  const checkBytes = (flags & HAS_BLOCK_CHECKS) === 0 ? 0 : 4
  const blocks: Buffer[] = []
  let at = HEAD_BYTES + ((flags & HAS_CONTENT_SIZE) === 0 ? 0 : 8)
  for (let length = frame.readUInt32LE(at); length !== 0; length = frame.readUInt32LE(at)) {
    const isPacked = length < NOT_PACKED
    const start = at + 4
    const end = start + (isPacked ? length : length - NOT_PACKED)
    if (end > frame.length) throw new RangeError('a block of LZ4 is longer than what is there')
    if (isPacked) {
      // The package wants in front of a block how long it may become: where the frame has its length.
      const sized = Buffer.from(frame.subarray(at, end))
      sized.writeUInt32LE(Math.min(maxBytes, length * MOST_TO_ONE))
      blocks.push(lz4.uncompressSync(sized))
    } else {
      blocks.push(frame.subarray(start, end))
    }
    at = end + checkBytes
  }
  return Buffer.concat(blocks)
}
