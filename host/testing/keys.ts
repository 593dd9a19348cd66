// Keys as a test writes and reads them: by the key codecs of those that have them, or text.
import type { AnyCodec } from '../../sdk/codec.js'
import { isKeyCodec, type KeyCodec } from '../../sdk/key.js'
import { HostError, toPlainError } from '../errors.js'

export type Keys = KeyCodec<unknown> | undefined

/** As the first that takes it has it. Throws BAD_KEY. */
export function keyTextOf(where: string, all: readonly Keys[], key: unknown): string {
  const refusals: string[] = []
  for (const keys of all) {
    try {
      const text: unknown = keys === undefined ? key : keys.encode(key)
      if (typeof text === 'string') return text
      refusals.push('the key is no string')
    } catch (error) {
      refusals.push(toPlainError(error).message)
    }
  }
  throw new HostError('BAD_KEY', `${where} does not have such a key: ${refusals.join('; ')}`)
}

/** As the first that takes it has it; as it is, if none does. */
export function keyFrom(all: readonly Keys[], text: string): unknown {
  for (const keys of all) {
    if (keys === undefined) return text
    try {
      return keys.decode(text)
    } catch {
      // The next may take it.
    }
  }
  return text
}

/** Of a codec that `keyed` has made; undefined: text. */
export const keysOfCodec = (codec: AnyCodec): Keys =>
  'keys' in codec && isKeyCodec(codec.keys) ? codec.keys : undefined
