// Values on their way to a thread, in one piece.

/** Many values in one piece: a view of a shared buffer would be cloned with all of that buffer. */
export interface Packed {
  readonly bytes: Uint8Array
  readonly lengths: readonly number[]
}

export function pack(values: readonly Uint8Array[]): Packed {
  const lengths = values.map((value) => value.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const value of values) {
    bytes.set(value, at)
    at += value.length
  }
  return { bytes, lengths }
}

export function unpack({ bytes, lengths }: Packed): Buffer[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  return lengths.map((length) => {
    const value = whole.subarray(at, at + length)
    at += length
    return value
  })
}
