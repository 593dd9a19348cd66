// Compression of record batches. What neither Node nor the host can is in packages, loaded when a batch first needs them.
import { createRequire } from 'node:module'
import * as zlib from 'node:zlib'
import type * as Zstd from 'fzstd'
import type * as Lz4 from 'lz4-napi'
import { unsnap } from '../../snappy.js'
import { unpackFrame } from './lz4-frame.js'
import { packageMissing } from './problems.js'

/** In the order of their numbers on the wire. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** Those that are written, too: a fast one and one that everybody can read. */
export type WrittenCompression = Extract<Compression, 'none' | 'gzip' | 'lz4'>

export function compress(bytes: Buffer, compression: WrittenCompression): Buffer {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return zlib.gzipSync(bytes, { level: zlib.constants.Z_BEST_SPEED })
    case 'lz4':
      return lz4().compressFrameSync(bytes)
  }
}

/** Throws what the package throws when the bytes are damaged, and PACKAGE_MISSING. */
export function decompress(bytes: Buffer, compression: Compression): Buffer {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return zlib.gunzipSync(bytes)
    case 'snappy':
      return unsnapFramed(bytes)
    case 'lz4':
      return unpackFrame(bytes, lz4())
    case 'zstd':
      return unzstd(bytes)
  }
}

/** Whether what it needs is installed. */
export function canCompress(compression: WrittenCompression): boolean {
  if (compression !== 'lz4') return true
  try {
    lz4()
    return true
  } catch {
    return false
  }
}

const lz4 = (): typeof Lz4 => load('lz4-napi', 'lz4')

// Java clients put blocks of raw snappy into a stream of their own, others write raw snappy.
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const XERIAL_HEAD_BYTES = 16

function unsnapFramed(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL.length).equals(XERIAL)) return unsnap(bytes)
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEAD_BYTES; at < bytes.length; ) {
    const start = at + 4
    at = start + bytes.readUInt32BE(at)
    if (at > bytes.length) throw new RangeError('a block of snappy is longer than what is there')
    blocks.push(unsnap(bytes.subarray(start, at)))
  }
  return Buffer.concat(blocks)
}

/** By Node itself where it can (22.15 and later), ten times as fast. */
function unzstd(bytes: Buffer): Buffer {
  const native: unknown = Reflect.get(zlib, 'zstdDecompressSync')
  if (typeof native === 'function') return native(bytes)
  const zstd: typeof Zstd = load('fzstd', 'zstd')
  const raw = zstd.decompress(bytes)
  return Buffer.from(raw.buffer, raw.byteOffset, raw.length)
}

const nodeRequire = createRequire(import.meta.url)

/** At once, not as a promise: batches are decoded in one go. */
function load<Package>(name: string, compression: Compression): Package {
  try {
    return nodeRequire(name)
  } catch (cause) {
    throw packageMissing(name, compression, cause)
  }
}
