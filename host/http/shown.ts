// A table's stored bytes as the JSON text that clients see.
import type { CodecKind } from '../../sdk/codec.js'
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'
import type { Gate } from './gate.js'

/** In the order given. Only codecs of the user's own leave the main thread. Throws UNDECODABLE. */
export async function toJsonTexts(
  table: TableEntry,
  values: readonly Buffer[],
  gate: Gate,
): Promise<string[]> {
  const { codec } = table
  const kind = codec.codec
  if (kind !== 'custom') return values.map((value) => builtIn(kind, value))
  if (values.length === 0) return []
  const texts = await gate.decode(codec, values)
  return texts.map((text) => {
    if (typeof text === 'string') return text
    throw new HostError(
      'UNDECODABLE',
      `a value of the table "${table.name}" is not decoded by the codec of ${codec.function}: ${text.message}`,
      { function: codec.function },
    )
  })
}

/** Written as JSON text by the codec: parsing it would only cost time. */
export const isShownAsStored = (kind: CodecKind): boolean =>
  kind === 'json' || kind === 'schema' || kind === 'int64'

/** Without any user code. */
export function builtIn(kind: Exclude<CodecKind, 'custom'>, value: Buffer): string {
  switch (kind) {
    case 'json':
    case 'schema':
    case 'int64':
      return value.toString('utf8')
    case 'string':
      return JSON.stringify(value.toString('utf8'))
    case 'bytes':
      return JSON.stringify(value.toString('base64'))
  }
}
