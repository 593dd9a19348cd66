// Reads LevelDB's journals (the write-ahead log, and MANIFEST) as LevelDB does, but tells what is damaged: it passes over it.
import { maskedCrc32c } from './checksum.js'

const blockBytes = 32 * 1024
const headerBytes = 7
const full = 1
const first = 2
const last = 4

export interface Journal {
  readonly records: readonly Buffer[]
  /** Where the first record lies whose bytes are not those that were written. */
  readonly damagedAt: number | undefined
  /** Where the last record lies, if it was not written to its end: by a process that died, or on a disk that was full. */
  readonly tornAt: number | undefined
}

export function readJournal(bytes: Buffer): Journal {
  const records: Buffer[] = []
  let parts: Buffer[] = []
  let beganAt = 0
  let at = 0
  const damaged = (where: number): Journal => ({
    records,
    damagedAt: where,
    tornAt: undefined,
  })
  const torn = (where: number): Journal =>
    isAnythingBehind(bytes, where)
      ? damaged(where)
      : { records, damagedAt: undefined, tornAt: where }
  while (at < bytes.length) {
    const blockEnd = Math.min((Math.floor(at / blockBytes) + 1) * blockBytes, bytes.length)
    if (blockEnd - at < headerBytes) {
      // The rest of a block, too short for a header, is filled with zeros.
      if (blockEnd % blockBytes !== 0) return torn(at)
      if (bytes.subarray(at, blockEnd).some((byte) => byte !== 0)) return damaged(at)
      at = blockEnd
      continue
    }
    const length = bytes.readUInt16LE(at + 4)
    const type = bytes.readUInt8(at + 6)
    const end = at + headerBytes + length
    if (end > blockEnd) return blockEnd === bytes.length ? torn(at) : damaged(at)
    // Room that a file system gave and nobody wrote to.
    if (type === 0 && length === 0 && isZero(bytes, at)) return torn(at)
    if (!isSound(bytes, at, end)) return damaged(at)
    const isStart = type === full || type === first
    if (type > last || isStart !== (parts.length === 0)) return damaged(at)
    if (isStart) beganAt = at
    parts.push(bytes.subarray(at + headerBytes, end))
    if (type === full || type === last) {
      records.push(Buffer.concat(parts))
      parts = []
    }
    at = end
  }
  return parts.length > 0 ? torn(beganAt) : { records, damagedAt: undefined, tornAt: undefined }
}

function isSound(bytes: Buffer, at: number, end: number): boolean {
  return bytes.readUInt32LE(at) === maskedCrc32c(bytes, at + 6, end)
}

const isZero = (bytes: Buffer, from: number): boolean =>
  !bytes.subarray(from).some((byte) => byte !== 0)

/** What was torn is the last: a sound record behind it says that a length, not the write, is wrong. */
function isAnythingBehind(bytes: Buffer, from: number): boolean {
  // A torn record of several parts has sound ones of its own before the end.
  let at = from + 1
  for (; at + headerBytes <= bytes.length; at += 1) {
    const type = bytes.readUInt8(at + 6)
    if (type !== full && type !== first) continue
    const end = at + headerBytes + bytes.readUInt16LE(at + 4)
    const blockEnd = (Math.floor(at / blockBytes) + 1) * blockBytes
    if (end > bytes.length || end > blockEnd || end === at + headerBytes) continue
    if (isSound(bytes, at, end)) return true
  }
  return false
}
