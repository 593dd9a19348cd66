// Which functions lie between a stream and a table, and which topics between them.
import { HostError } from '../errors.js'
import type { Catalog } from '../functions/catalog.js'
import type { FunctionDescription } from '../functions/description.js'

export interface Goal {
  readonly table: string
  /** The function that keeps the table. */
  readonly function: string
  /** Of the key that will be read; undefined: all. At the last hop no other partition matters. */
  readonly partition: number | undefined
}

/** By topic and partition, what the position of each function that reads it has to be at least. */
export type Needs = Map<string, Map<number, number>>

export function need(needs: Needs, topic: string, partition: number, position: number): void {
  const partitions = needs.get(topic) ?? new Map<number, number>()
  partitions.set(partition, Math.max(partitions.get(partition) ?? 0, position))
  needs.set(topic, partitions)
}

export function notUpstream(
  catalog: Catalog,
  goal: Goal,
  stream: string,
  topic: string | undefined,
): HostError {
  const isCopied = topic !== undefined && topicsBefore(catalog, goal, copiedTopics).has(topic)
  const deployed = isCopied ? undefined : differing(catalog, goal)
  if (deployed !== undefined) {
    return new HostError(
      'RECOVERING',
      `no function leads from the stream "${stream}" to the table "${goal.table}" yet: instances run ${deployed} with other edges than those who have its partitions, and take over when the last of these has gone; try again then, GET /functions/${deployed} shows who runs what`,
      { function: deployed },
    )
  }
  return new HostError(
    'STREAM_NOT_UPSTREAM',
    isCopied
      ? `the stream "${stream}" leads to the table "${goal.table}" by a joined or looked-up table alone, which is read as it is when a record comes: no value is made anew for that emit; wait for it on the table that is joined`
      : `no function leads from the stream "${stream}" to the table "${goal.table}": ` +
          'it will never reflect that emit; millrace topology, or GET /topology, shows what leads where',
  )
}

/** What a function writes that others read record by record; a table so, by views. */
export const writtenTopics = ({ kind, outputs, table }: FunctionDescription): string[] => [
  ...outputs.map(({ topic }) => topic),
  ...(kind === 'view' || table === null ? [] : [table.topic]),
]

const noTopics = (): string[] => []

const copiedTopics = ({ joins, lookups }: FunctionDescription): string[] =>
  [...joins, ...lookups].map(({ topic }) => topic)

/** A function on the way that waits at some instance, with other edges: the way may be another when it has taken over. */
const differing = (catalog: Catalog, goal: Goal): string | undefined =>
  wayTo(catalog, goal).functions.find((name) =>
    catalog.members(name).some(({ isRefused }) => isRefused === true),
  )

/** Every topic from which records come to the table, the functions between them included; `also`: what else counts as read. */
export const topicsBefore = (
  catalog: Catalog,
  goal: Goal,
  also?: (description: FunctionDescription) => string[],
): ReadonlySet<string> => wayTo(catalog, goal, also).topics

function wayTo(
  catalog: Catalog,
  goal: Goal,
  also: (description: FunctionDescription) => string[] = noTopics,
): { readonly topics: ReadonlySet<string>; readonly functions: readonly string[] } {
  const topics = new Set<string>()
  const found = new Set<FunctionDescription>()
  const all = catalog.descriptions()
  let next = all.filter((description) => description.name === goal.function)
  while (next.length > 0) {
    for (const description of next) {
      found.add(description)
      for (const input of description.inputs) topics.add(input.topic)
      for (const topic of also(description)) topics.add(topic)
    }
    next = all.filter(
      (description) =>
        !found.has(description) && writtenTopics(description).some((topic) => topics.has(topic)),
    )
  }
  return { topics, functions: [...found].map(({ name }) => name) }
}

/** The functions on the way that read what is needed. Asked anew at each level: they come, go and are swapped. */
export function readers(catalog: Catalog, goal: Goal, needs: Needs): string[] {
  const upstream = topicsBefore(catalog, goal)
  return catalog
    .descriptions()
    .filter(({ inputs }) => inputs.some((input) => needs.has(input.topic)))
    .filter(
      (description) =>
        description.name === goal.function ||
        writtenTopics(description).some((topic) => upstream.has(topic)),
    )
    .map(({ name }) => name)
}
