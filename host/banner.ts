// What the host says of itself when it has started.
import { type Example, exampleOf } from './example.js'
import { type Catalog, isBeginning } from './functions/catalog.js'
import { sourceOf } from './functions/stack.js'

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

/** For a person at a terminal: where, what, and lines to try. */
export function banner(version: string, url: string, catalog: Catalog): string {
  const { streams, tables } = catalog.topology()
  const row = (title: string, items: readonly string[], between = ', ') =>
    `  ${title.padEnd(10)} ${items.length === 0 ? 'none' : items.join(between)}\n`
  return [
    `\n  millrace ${version} listens on ${url}\n\n`,
    row('functions', functionItems(catalog), below),
    row(
      'streams',
      streams.map(({ name, partitions }) => `${name} (${partitions} partitions)`),
    ),
    row(
      'tables',
      tables.map(({ name }) => name),
    ),
    '\n',
    row('try', tries(url, catalog), below),
    '\n',
  ].join('')
}

const below = `\n${' '.repeat(13)}`
/** Those that do not run, too: a function that is broken at the start is in no topology. */
function functionItems(catalog: Catalog): string[] {
  const loaded = new Set(catalog.topology().functions.map(({ name }) => name))
  const states = [...catalog.states()].sort(([one], [other]) => (one < other ? -1 : 1))
  return states.map(([name, state]) => {
    if (isBeginning(state)) return `${name} (starting)`
    return loaded.has(name) ? `${name} (${state})` : `${name} (does not run: see above)`
  })
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
  const { key, value } = recordFor(shown.name, stream, catalog)
  return [
    `curl ${url}/emitters/${stream}/${key} -d '${value}'`,
    `curl ${url}/views/${shown.table}/${key}`,
  ]
}

/** What a handler of JSON expects is known to its author alone, who may have said so in the file: a made-up value could halt it. */
function recordFor(name: string, stream: string, catalog: Catalog): Omit<Example, 'stream'> {
  const bundle = catalog.bundle(name)
  const example = exampleOf((bundle && sourceOf(bundle, bundle.file)) ?? '')
  if (example?.stream === stream) return example
  const kinds = catalog.stream(stream)?.codecs.map(({ codec }) => codec) ?? []
  if (kinds[0] === 'int64') return { key: 'alice', value: '1' }
  return { key: 'alice', value: kinds[0] === 'string' ? '"hello"' : 'VALUE' }
}
