// Functions by the names that a test gives them, and their definitions checked as the host checks files.

import { refuseConflict } from '../functions/claims.js'
import { isDefinition } from '../functions/definition.js'
import { describeDefinition } from '../functions/describe.js'
import type { FunctionDescription } from '../functions/description.js'
import { isFunctionName } from '../functions/names.js'
import { nearest } from '../nearest.js'

/** `clickCount` → `click-count`; what is kebab-case already stays. */
export type Kebab<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? Rest extends Uncapitalize<Rest>
    ? `${Uncapitalize<First>}${Kebab<Rest>}`
    : `${Uncapitalize<First>}-${Kebab<Rest>}`
  : Name

/** Throws a TypeError for what can be no function's name. */
export function functionName(key: string): string {
  const name = key.replace(
    /[A-Z]/g,
    (letter, index) => `${index > 0 ? '-' : ''}${letter.toLowerCase()}`,
  )
  if (isFunctionName(name)) return name
  throw new TypeError(
    `"${key}" is no name of a function: small letters, digits and "-", a letter first, or the same in camelCase (clickCount for click-count)`,
  )
}

/** Throws a TypeError with every problem of the definition. */
export function describe(
  definition: unknown,
  name: string,
  namespace: string,
): FunctionDescription {
  if (!isDefinition(definition)) {
    const isModule =
      typeof definition === 'object' && definition !== null && 'default' in definition
    throw new TypeError(
      `${name} is nothing that defineProcessor or defineView made${isModule ? ', but a module: pass its default export' : ''}`,
    )
  }
  try {
    return describeDefinition(definition, { name, namespace })
  } catch (cause) {
    throw new TypeError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** Throws a TypeError for functions that the host would not run beside each other. */
export function refuseConflicts(functions: readonly FunctionDescription[]): void {
  for (const [index, one] of functions.entries()) {
    for (const other of functions.slice(0, index)) {
      try {
        refuseConflict(one, other)
      } catch (cause) {
        throw new TypeError(cause instanceof Error ? cause.message : String(cause), { cause })
      }
    }
  }
}

/** Throws a TypeError that tells which there are. */
export function known<T>(
  found: T | undefined,
  what: string,
  name: string,
  all: readonly string[],
): T {
  if (found !== undefined) return found
  const near = nearest(name, all)
  const hint = near === undefined ? '' : `, did you mean "${near}"?`
  throw new TypeError(
    `there is no ${what} "${name}"${hint} (there are: ${all.join(', ') || 'none'})`,
  )
}
