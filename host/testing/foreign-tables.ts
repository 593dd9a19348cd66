// Tables that the functions of a test read and none of them writes: a test writes these itself.
import type { AnyCodec } from '../../sdk/codec.js'
import type { EmitOptions } from '../../sdk/context.js'
import type { ProcessorDefinition } from '../../sdk/define.js'
import type { Tables } from '../../sdk/topic-table.js'
import type { ViewDefinition } from '../../sdk/view.js'
import { isView } from '../functions/definition.js'
import type { EdgeDescription, FunctionDescription } from '../functions/description.js'
import type { KnownStream } from './emitter.js'
import { type Keys, keysOfCodec } from './keys.js'

/** A table that others write, as they do. Keys are as its readers have them: text, or by their key codecs. */
export interface ForeignTable {
  /** Resolves when the log has it; what reads the table has it after `settled()`. Default timestamp: `now()`. */
  set(key: unknown, value: unknown, options?: EmitOptions): Promise<void>
  delete(key: unknown, options?: EmitOptions): Promise<void>
}

export interface Described {
  readonly definition: ProcessorDefinition | ViewDefinition
  readonly description: FunctionDescription
}

/** By their topics: known by that, and by the names under which they are read. */
export type ForeignTables = ReadonlyMap<
  string,
  KnownStream & { readonly names: ReadonlySet<string> }
>

export function foreignTables(functions: readonly Described[]): ForeignTables {
  const own = new Set(
    functions.flatMap(({ description: { kind, table } }) =>
      kind === 'view' || table === null ? [] : table.topic,
    ),
  )
  const found = new Map<string, KnownStream & { readonly names: Set<string> }>()
  for (const { edge, codec, keys } of functions.flatMap((each) => tablesRead(each))) {
    const { stream, topic, hasher } = edge
    if (own.has(topic)) continue
    const known = found.get(topic)
    const names = new Set([...(known?.names ?? [topic]), stream])
    const readers = [...(known?.readers ?? []), codec]
    const allKeys = [...(known?.keys ?? []), keys]
    found.set(topic, { name: stream, topic, hasher, readers, writers: [], keys: allKeys, names })
  }
  return found
}

interface Read {
  readonly edge: EdgeDescription
  readonly codec: AnyCodec
  readonly keys: Keys
}

function tablesRead({ definition, description }: Described): readonly Read[] {
  if (isView(definition)) {
    return description.inputs.map((edge) => ({ edge, codec: definition.codec, keys: undefined }))
  }
  const read = (edges: readonly EdgeDescription[], tables: Tables = {}) =>
    edges.flatMap((edge) => {
      const table = Object.hasOwn(tables, edge.stream) ? tables[edge.stream] : undefined
      return table === undefined ? [] : [{ edge, codec: 'codec' in table ? table.codec : table }]
    })
  // A joined table is read by the function's own keys.
  const joins = read(description.joins, definition.joins).map((table) => {
    return { ...table, keys: definition.keys }
  })
  const lookups = read(description.lookups, definition.lookups).map((table) => {
    return { ...table, keys: keysOfCodec(table.codec) }
  })
  return [...joins, ...lookups]
}
