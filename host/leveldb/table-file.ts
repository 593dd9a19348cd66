// The blocks of a table file (.ldb), and whether their bytes are those that were written.
import type { FileHandle } from 'node:fs/promises'
import { unsnap } from '../snappy.js'
import { maskedCrc32c } from './checksum.js'
import { Cursor } from './varint.js'

const footerBytes = 48
const magic = Buffer.from('57fb808b247547db', 'hex')
const trailerBytes = 5
/** What LevelDB appends to each key of its own: a sequence number and a kind. */
const internalBytes = 8
const readBytes = 1024 * 1024

interface Block {
  readonly offset: number
  readonly size: number
  /** No key of the block is higher; undefined: it holds no keys. */
  readonly upTo: Buffer | undefined
}

/**
 * Of the keys of a block: none is lower than `from` (undefined: nothing is known), none is higher than `upTo`, and what follows the
 * block in this file reaches up to `next` (undefined: nothing follows).
 */
export type WantsBlock = (
  from: Buffer | undefined,
  upTo: Buffer,
  next: Buffer | undefined,
) => boolean

/** What is wrong with it; undefined: nothing that was looked at. */
export async function inspectTable(
  file: FileHandle,
  size: number,
  wants: WantsBlock,
): Promise<string | undefined> {
  if (size < footerBytes) return 'it is too short'
  const footer = await read(file, size - footerBytes, footerBytes)
  if (footer?.subarray(-magic.length).equals(magic) !== true) return 'its end is no longer its own'
  try {
    const handles = new Cursor(footer)
    const meta = handle(handles)
    const index = handle(handles)
    const packed = await read(file, index.offset, index.size + trailerBytes)
    if (packed === undefined || !isSound(packed)) return `its index (${index.offset}) is damaged`
    const blocks = indexOf(packed)
    const behind = blocks.at(-1)
    const filterAt = behind === undefined ? 0 : behind.offset + behind.size + trailerBytes
    // The filter, if there is one, lies between: what it denies is never looked for.
    const filter = {
      offset: filterAt,
      size: meta.offset - filterAt - trailerBytes,
      upTo: undefined,
    }
    const wanted = blocks.filter((block, i) => {
      if (block.upTo === undefined) return true
      return wants(blocks[i - 1]?.upTo, block.upTo, blocks[i + 1]?.upTo)
    })
    return await inspectBlocks(file, [...wanted, ...(filter.size > 0 ? [filter] : []), meta])
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return `its index is damaged (${error.message})`
  }
}

const handle = (cursor: Cursor): Block => ({
  offset: cursor.varint(),
  size: cursor.varint(),
  upTo: undefined,
})

/** In the order in which they lie, neighbours in one read. */
async function inspectBlocks(
  file: FileHandle,
  blocks: readonly Block[],
): Promise<string | undefined> {
  for (let i = 0; i < blocks.length; ) {
    const group: Block[] = []
    let end = blocks[i]?.offset ?? 0
    const start = end
    for (let next = blocks[i]; next?.offset === end; next = blocks[i]) {
      if (group.length > 0 && end - start >= readBytes) break
      group.push(next)
      end += next.size + trailerBytes
      i += 1
    }
    const bytes = await read(file, start, end - start)
    for (const { offset, size } of group) {
      const at = offset - start
      if (bytes === undefined || !isSound(bytes.subarray(at, at + size + trailerBytes))) {
        return `its bytes from ${offset} to ${offset + size} are damaged`
      }
    }
  }
  return undefined
}

/** Undefined: the file ends before. */
async function read(file: FileHandle, at: number, length: number): Promise<Buffer | undefined> {
  if (length <= 0 || length > 2 ** 30) return undefined
  const bytes = Buffer.allocUnsafe(length)
  const { bytesRead } = await file.read(bytes, 0, length, at)
  return bytesRead === length ? bytes : undefined
}

function isSound(block: Buffer): boolean {
  const end = block.length - 4
  return block.readUInt32LE(end) === maskedCrc32c(block, 0, end)
}

/** The blocks that the index names; of its keys those that LevelDB's users know. */
function indexOf(packed: Buffer): Block[] {
  const kind = packed.readUInt8(packed.length - trailerBytes)
  const content = packed.subarray(0, -trailerBytes)
  if (kind > 1) throw new RangeError(`it is packed in the unknown way ${kind}`)
  const bytes = kind === 1 ? unsnap(content) : content
  const restarts = bytes.readUInt32LE(bytes.length - 4)
  const cursor = new Cursor(bytes, 0, bytes.length - 4 - restarts * 4)
  const blocks: Block[] = []
  let key: Buffer = Buffer.alloc(0)
  while (!cursor.isAtEnd) {
    const shared = cursor.varint()
    const own = cursor.varint()
    const valueLength = cursor.varint()
    key = Buffer.concat([key.subarray(0, shared), cursor.take(own)])
    const { offset, size } = handle(new Cursor(cursor.take(valueLength)))
    blocks.push({ offset, size, upTo: key.subarray(0, Math.max(0, key.length - internalBytes)) })
  }
  return blocks
}
