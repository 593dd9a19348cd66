// What makes a default export known as a definition, and of which kind.

/** A frozen copy. Throws a `TypeError` for what is no object. */
export function marked<Definition extends object>(
  kind: 'processor' | 'view',
  definition: Definition,
  define: (definition: never) => Definition,
): Definition {
  if (typeof definition !== 'object' || definition === null) {
    const fields = kind === 'processor' ? '{ inputs, on, … }' : '{ table, codec }'
    throw new TypeError(`${define.name} takes one object: ${fields}`)
  }
  const trace: { stack?: string } = {}
  Error.captureStackTrace(trace, define)
  // Symbols of the global registry: a definition made by another copy of the SDK is known, too.
  return Object.freeze(
    Object.defineProperties(
      { ...definition },
      {
        [Symbol.for('millrace.definition')]: { value: kind },
        [Symbol.for('millrace.definedAt')]: { value: trace.stack },
      },
    ),
  )
}
