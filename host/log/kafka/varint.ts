// Kafka's variable-length integers: zigzag, 7 bits a byte, the lowest first.

/** Of a signed 32-bit number. */
export const varintBytes = (value: number): number =>
  (((31 - Math.clz32(((value << 1) ^ (value >> 31)) | 1)) / 7) | 0) + 1

/** Returns where it ends. */
export function writeVarint(target: Uint8Array, start: number, value: number): number {
  let at = start
  let left = ((value << 1) ^ (value >> 31)) >>> 0
  while (left > 0x7f) {
    target[at++] = left | 0x80
    left >>>= 7
  }
  target[at++] = left
  return at
}

const isInt32 = (value: number): boolean => value === (value | 0)

/** Of a safe integer. */
export function varlongBytes(value: number): number {
  if (isInt32(value)) return varintBytes(value)
  let bytes = 1
  for (let left = zigzag(value) >> 7n; left > 0n; left >>= 7n) bytes++
  return bytes
}

/** Returns where it ends. */
export function writeVarlong(target: Uint8Array, start: number, value: number): number {
  if (isInt32(value)) return writeVarint(target, start, value)
  let at = start
  let left = zigzag(value)
  for (; left > 0x7fn; left >>= 7n) target[at++] = Number(left & 0x7fn) | 0x80
  target[at++] = Number(left)
  return at
}

const zigzag = (value: number): bigint =>
  BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))

const VARINT_BYTES = 5
const VARLONG_BYTES = 10
/** So many bytes of a varlong a number holds exactly. */
const EXACT_BYTES = 7

/** Reads one after another. Behind the end it reads zeros: whoever reads looks at `at` when it has read a record. */
export class VarintReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  varint(): number {
    const first = this.#bytes[this.at++] ?? 0
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    let value = first & 0x7f
    for (let shift = 7; shift < VARINT_BYTES * 7; shift += 7) {
      const byte = this.#bytes[this.at++] ?? 0
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return (value >>> 1) ^ -(value & 1)
  }

  varlong(): number {
    const start = this.at
    let value = 0
    let scale = 1
    for (let i = 0; i < EXACT_BYTES; i++) {
      const byte = this.#bytes[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 128
    }
    this.at = start
    return this.#longest()
  }

  #longest(): number {
    let value = 0n
    for (let i = 0; i < VARLONG_BYTES; i++) {
      const byte = this.#bytes[this.at++] ?? 0
      value |= BigInt(byte & 0x7f) << BigInt(i * 7)
      if (byte < 0x80) break
    }
    return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)))
  }
}
