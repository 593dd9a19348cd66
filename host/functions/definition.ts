// What a bundle exports: of which kind it is, and what its table holds.
import type { ProcessorDefinition } from '../../sdk/define.js'
import type { ViewDefinition } from '../../sdk/view.js'
import type { TableDefinition } from '../processor/migration.js'
import type { FunctionDescription } from './description.js'

const kinds = ['processor', 'view'] as const satisfies FunctionDescription['kind'][]

/** Was it made by `defineProcessor` or `defineView`, of whichever copy of the SDK? Says nothing of its fields. */
export const isDefinition = (value: unknown): value is ProcessorDefinition | ViewDefinition =>
  kindOf(value) !== undefined

export const isView = (value: unknown): value is ViewDefinition => kindOf(value) === 'view'

/** How the values of its table, or of its copy of another's, are stored. Its shape was checked. */
export function storedTable(definition: unknown): TableDefinition {
  if (!isView(definition)) return definition as TableDefinition
  const { codec, stored = codec } = definition
  return { table: stored }
}

function kindOf(value: unknown): FunctionDescription['kind'] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const kind: unknown = Reflect.get(value, Symbol.for('millrace.definition'))
  return kinds.find((known) => known === kind)
}
