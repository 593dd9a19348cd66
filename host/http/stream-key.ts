// Keys that are emitted: of a length that is allowed, and such that some reader of their stream can read them.
import { keyOf } from '../../sdk/key-of.js'
import { HostError, toPlainError } from '../errors.js'
import type { StreamEntry } from '../functions/catalog.js'
import { checkKey } from './target.js'

/** Throws BAD_KEY and KEY_TOO_LONG. No user code is asked: what only that knows is taken. */
export function streamKeys(
  { name, keys }: Pick<StreamEntry, 'name' | 'keys'>,
  maxKeyBytes: number,
): (key: Buffer) => Buffer {
  const codecs = keys.flatMap((parts) => (parts === null || parts === 'custom' ? [] : keyOf(parts)))
  if (codecs.length === 0 || codecs.length < keys.length) return (key) => checkKey(key, maxKeyBytes)
  return (key) => {
    const text = checkKey(key, maxKeyBytes).toString('utf8')
    const refusals: string[] = []
    for (const codec of codecs) {
      try {
        codec.decode(text)
        return key
      } catch (error) {
        refusals.push(toPlainError(error).message)
      }
    }
    throw new HostError(
      'BAD_KEY',
      `the key is none of the stream "${name}": ${[...new Set(refusals)].join('; ')}; how keys of several parts are written is in docs/functions.md (an integer has a letter for its length in front: 42 is b42)`,
    )
  }
}
