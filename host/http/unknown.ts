// What is answered for a name that is not there: what it is instead, which is near, and which there are.
import { HostError } from '../errors.js'
import type { Catalog } from '../functions/catalog.js'
import { nearest } from '../nearest.js'

type Code = 'UNKNOWN_STREAM' | 'UNKNOWN_TABLE' | 'UNKNOWN_FUNCTION'
/** Of a token: others' names are not told. */
type MayName = (name: string) => boolean

const maxNames = 20

export function unknownStream(name: string, catalog: Catalog, may: MayName): HostError {
  const { functions, streams } = catalog.topology()
  const owner = functions.find(({ table }) => table === name)
  const inputs = owner?.inputs.filter(may) ?? []
  const hint = owner === undefined ? undefined : `it is a table, which reads ${listed(inputs)}`
  const error = unknown('UNKNOWN_STREAM', 'stream', name, namesOf(streams).filter(may), hint)
  return unlessLoading(error, catalog)
}

/** `isShared`: other instances may serve what this one does not know. */
export function unknownTable(
  name: string,
  catalog: Catalog,
  may: MayName,
  { isShared }: { readonly isShared: boolean },
): HostError {
  const { functions, streams, tables } = catalog.topology()
  const isStream = may(name) && streams.some((stream) => stream.name === name)
  const readers = functions.filter(({ inputs }) => inputs.includes(name))
  const kept = readers.flatMap(({ table }) => table ?? []).filter(may)
  const hint = isStream ? `it is a stream; tables that are made of it: ${listed(kept)}` : undefined
  const error = unknown('UNKNOWN_TABLE', 'table', name, namesOf(tables).filter(may), hint)
  if (isShared && may(name) && catalog.states().get(name) === 'halted') {
    return new HostError(
      'RECOVERING',
      `the function ${name} could not be loaded at this instance, and its table is not known here: ask another one, or mend the file; GET /functions/${name} tells what is wrong with it`,
      { cause: error, function: name },
    )
  }
  return unlessLoading(error, catalog)
}

/** It may be of a function that is not known yet, since the log does not answer for instance: then nobody is to take it for missing. */
function unlessLoading(error: HostError, catalog: Catalog): HostError {
  const loading = [...catalog.states().values()].filter((state) => state === 'loading')
  if (loading.length === 0) return error
  const problem = catalog.problem()
  return new HostError(
    'RECOVERING',
    `${error.message}: that is not all, functions are being loaded still${problem === undefined ? '' : ` (${problem.message})`}; try again, GET /functions tells what each waits for`,
    { cause: error },
  )
}

export const unknownFunction = (name: string, all: readonly string[], may: MayName): HostError =>
  unknown('UNKNOWN_FUNCTION', 'function', name, all.filter(may), undefined)

function unknown(
  code: Code,
  what: string,
  name: string,
  all: readonly string[],
  hint: string | undefined,
): HostError {
  const near = nearest(name, all)
  const better = near === undefined ? '' : `, did you mean "${near}"?`
  const why = hint === undefined ? better : `: ${hint}`
  return new HostError(
    code,
    `there is no ${what} ${JSON.stringify(name)}${why} (there are: ${listed(all)})`,
  )
}

const namesOf = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name)

function listed(names: readonly string[]): string {
  const more = names.length - maxNames
  const shown = names.slice(0, maxNames).join(', ') || 'none'
  return more > 0 ? `${shown} and ${more} more` : shown
}
