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

function tries(url: string, catalog: Catalog): string[] {
  const { streams, tables, functions } = catalog.topology()
  const inputs = new Set(functions.flatMap((known) => known.inputs))
  // Of the streams one that nobody else writes: that is where a person begins.
  const written = new Set(functions.flatMap((known) => known.outputs))
  const stream = streams.find(({ name }) => inputs.has(name) && !written.has(name)) ?? streams[0]
  const table = tables[0]
  const codec = stream === undefined ? undefined : catalog.stream(stream.name)?.codecs[0]?.codec
  const value =
    codec === 'int64'
      ? '1'
      : codec === 'string'
        ? '"hello"'
        : codec === 'bytes'
          ? '"aGVsbG8="'
          : '{}'
  return [
    ...(stream === undefined
      ? []
      : [
          `curl ${url}/emitters/${stream.name}/alice -H 'content-type: application/json' -d '${value}'`,
        ]),
    ...(table === undefined ? [] : [`curl ${url}/views/${table.name}/alice`]),
  ]
}
