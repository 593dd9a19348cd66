// What the host says of itself when it has started.
import type { Catalog } from './functions/catalog.js'

export interface Summary {
  readonly functions: readonly string[]
  readonly streams: readonly string[]
  readonly tables: readonly string[]
}

/** Names, for a line of the log. */
export function summary(catalog: Catalog): Summary {
  const { functions, streams, tables } = catalog.topology()
  const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name)
  return { functions: names(functions), streams: names(streams), tables: names(tables) }
}

/** For a person at a terminal: where, what, and a line to try. */
export function banner(version: string, url: string, catalog: Catalog): string {
  const { functions, streams, tables } = catalog.topology()
  const row = (title: string, items: readonly string[]) =>
    `  ${title.padEnd(10)} ${items.length === 0 ? 'none' : items.join(', ')}\n`
  return [
    `\n  millrace ${version} listens on ${url}\n\n`,
    row(
      'functions',
      functions.map(({ name, state }) => `${name} (${state})`),
    ),
    row(
      'streams',
      streams.map(({ name, partitions }) => `${name} (${partitions} partitions)`),
    ),
    row(
      'tables',
      tables.map(({ name }) => name),
    ),
    ...tries(url, catalog).map(
      (line, index) => `${index === 0 ? '\n  try        ' : '             '}${line}\n`,
    ),
    '\n',
  ].join('')
}

/** Lines that belong together: what is emitted to the stream shows in the table. */
function tries(url: string, catalog: Catalog): string[] {
  const { functions } = catalog.topology()
  // Of the streams one that nobody else writes: that is where a person begins.
  const written = new Set(functions.flatMap((known) => known.outputs))
  const begins = ({ inputs }: { readonly inputs: readonly string[] }) =>
    inputs.find((stream) => !written.has(stream))
  const shown = functions.find((known) => known.table !== null && begins(known) !== undefined)
  const stream = shown === undefined ? undefined : begins(shown)
  if (shown === undefined || stream === undefined) return [`curl ${url}/functions`]
  // What a handler expects is known to its author alone: a made-up value could halt it.
  return [
    `curl ${url}/emitters/${stream}/alice -H 'content-type: application/json' -d 'VALUE'`,
    `curl ${url}/views/${shown.table}/alice`,
  ]
}
