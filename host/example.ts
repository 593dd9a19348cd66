// The record that a function's file shows to try it with, in a comment: `// Try: npx millrace emit STREAM KEY 'VALUE'`.

/** As `emit` takes it. */
export interface Example {
  readonly stream: string
  readonly key: string
  readonly value: string
}

const line = /^\/\/ Try: npx millrace emit (\S+) (\S+) '([^'\n]*)'\r?$/m

/** Undefined: the file shows none. */
export function exampleOf(text: string): Example | undefined {
  const [, stream, key, value] = line.exec(text) ?? []
  if (stream === undefined || key === undefined || value === undefined) return undefined
  return { stream, key, value }
}
