// Any value that a codec of a function file gives, as JSON text.
import { randomUUID } from 'node:crypto'

/** As JSON.stringify, and: a bigint becomes a number of any length, bytes become base64, `undefined` becomes null. */
export function toJsonText(value: unknown): string {
  // Node 20 has no JSON.rawJSON: bigints go in as marked strings, and lose mark and quotes afterwards.
  let mark: string | undefined
  const text = JSON.stringify(value, function (this: unknown, key, replaced: unknown) {
    if (typeof replaced === 'bigint') {
      mark ??= randomUUID()
      return `${mark}${replaced}`
    }
    // Buffers have become something else by their own toJSON.
    const original: unknown =
      typeof this === 'object' && this !== null ? Reflect.get(this, key) : undefined
    if (original instanceof Uint8Array) return base64(original)
    return replaced
  })
  if (text === undefined) return 'null'
  return mark === undefined ? text : text.replace(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1')
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
