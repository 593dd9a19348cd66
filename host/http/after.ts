// Waits until a table reflects the records of a token, over as many functions as lie between stream and table.
import type { Cluster } from '../cluster/cluster.js'
import { HostError } from '../errors.js'
import type { Catalog, TableEntry } from '../functions/catalog.js'
import type { FunctionDescription } from '../functions/description.js'
import type { Log } from '../log/log.js'
import { partitionsOf } from './serving.js'
import type { Token } from './token.js'
import type { Wait } from './waiting.js'

export interface AfterDeps {
  readonly catalog: Catalog
  readonly log: Log
  readonly cluster?: Cluster | undefined
}

export interface Goal {
  readonly table: string
  /** The function that keeps the table. */
  readonly function: string
  /** Of the key that will be read; undefined: all. At the last hop no other partition matters. */
  readonly partition: number | undefined
}

/** By topic and partition, what the position of each function that reads it has to be at least. */
type Needs = Map<string, Map<number, number>>

interface Behind {
  readonly function: string
  readonly state: string
  readonly stream: string
  readonly partition: number
  readonly position: number
  readonly needed: number
}

/** Resolves when reflected. Throws STREAM_NOT_UPSTREAM, BAD_TOKEN, and what ends the wait: WAIT_TIMEOUT names who is behind. */
export async function waitUntilReflected(
  deps: AfterDeps,
  tokens: readonly Token[],
  goal: Goal,
  wait: Wait,
): Promise<void> {
  const { catalog } = deps
  let needs = await needsOf(deps, tokens, goal)
  // Level by level, all paths at once. A path visits no function twice, so there are no more levels than functions;
  // where functions feed each other in a circle this waits for a little more than it has to, and ends.
  for (let level = catalog.descriptions().length; level > 0 && needs.size > 0; level--) {
    const here = readers(catalog, goal, needs)
    await Promise.all(here.map((name) => reached(deps, goal, name, needs, wait)))
    needs = await wait.for(endsBehind(catalog, goal, here))
  }
}

/**
 * Resolves when what is stored may be shown: a position is there as soon as a thread starts, the table only when it is recovered.
 * Also when the time is up: the read itself then says what is the matter.
 */
export async function waitUntilServing(
  { catalog, cluster }: AfterDeps,
  goal: Goal,
  wait: Wait,
): Promise<void> {
  const isElsewhere = elsewhere(catalog, cluster, goal.function)
  while (true) {
    using change = nextChange(catalog, goal.function)
    const table = catalog.table(goal.table)
    if (table === undefined || serves(table, goal.partition, isElsewhere)) return
    try {
      await wait.for(change.happened)
    } catch (error) {
      if (error instanceof HostError && error.code === 'WAIT_TIMEOUT') return
      throw error
    }
  }
}

export interface NextChange extends Disposable {
  readonly happened: Promise<void>
}

/** Called before the check: a change between the two would be missed. */
export function nextChange(catalog: Pick<Catalog, 'onChange'>, name: string): NextChange {
  let takeBack = () => {}
  const happened = new Promise<void>((resolve) => {
    takeBack = catalog.onChange(name, resolve)
  })
  return { happened, [Symbol.dispose]: () => takeBack() }
}

/** What another has is for that one to say. */
function serves(
  table: TableEntry,
  only: number | undefined,
  isElsewhere: (partition: number) => boolean,
): boolean {
  const partitions = only === undefined ? partitionsOf(table) : [only]
  return partitions.every((each) => table.isServing(each) || isElsewhere(each))
}

/** Of the partitions of a function: another instance has it, as far as is known. */
const elsewhere =
  (catalog: Catalog, cluster: Cluster | undefined, name: string) =>
  (partition: number): boolean => {
    if (cluster === undefined || catalog.isOwned(name, partition)) return false
    return cluster.ownerElsewhere(catalog, name, partition) !== undefined
  }

async function needsOf(
  { catalog, log }: AfterDeps,
  tokens: readonly Token[],
  goal: Goal,
): Promise<Needs> {
  const upstream = topicsBefore(catalog, goal)
  const needs: Needs = new Map()
  for (const token of tokens) {
    const topic = catalog.stream(token.stream)?.topic
    if (topic === undefined || !upstream.has(topic)) {
      throw notUpstream(catalog, goal, token.stream, topic)
    }
    const id = await log.topicId(topic)
    if (id !== token.topicId) {
      throw new HostError(
        'BAD_TOKEN',
        `the stream "${token.stream}" was re-created since the token was given out, or in that moment: look whether what was emitted is there, and emit it again if it is not`,
      )
    }
    for (const [partition, offset] of token.offsets) {
      // A position is the next offset to read: beyond the record means at least one more.
      need(needs, topic, partition, offset + 1)
    }
  }
  return needs
}

function notUpstream(
  catalog: Catalog,
  goal: Goal,
  stream: string,
  topic: string | undefined,
): HostError {
  const isCopied = topic !== undefined && topicsBefore(catalog, goal, copiedTopics).has(topic)
  return new HostError(
    'STREAM_NOT_UPSTREAM',
    isCopied
      ? `the stream "${stream}" leads to the table "${goal.table}" by a joined or looked-up table alone, which is read as it is when a record comes: no value is made anew for that emit; wait for it on the table that is joined`
      : `no function leads from the stream "${stream}" to the table "${goal.table}": ` +
          'it will never reflect that emit; millrace topology, or GET /topology, shows what leads where',
  )
}

/** What a function writes that others read record by record; a table so, by views. */
const writtenTopics = ({ kind, outputs, table }: FunctionDescription): string[] => [
  ...outputs.map(({ topic }) => topic),
  ...(kind === 'view' || table === null ? [] : [table.topic]),
]

const noTopics = (): string[] => []

const copiedTopics = ({ joins, lookups }: FunctionDescription): string[] =>
  [...joins, ...lookups].map(({ topic }) => topic)

/** Every topic from which records come to the table, the functions between them included; `also`: what else counts as read. */
function topicsBefore(
  catalog: Catalog,
  goal: Goal,
  also: (description: FunctionDescription) => string[] = noTopics,
): Set<string> {
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
  return topics
}

/** The functions on the way that read what is needed. Asked anew at each level: they come, go and are swapped. */
function readers(catalog: Catalog, goal: Goal, needs: Needs): string[] {
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

async function reached(
  { catalog, cluster }: AfterDeps,
  goal: Goal,
  name: string,
  needs: Needs,
  wait: Wait,
): Promise<void> {
  const isLast = name === goal.function
  const isElsewhere = elsewhere(catalog, cluster, name)
  while (true) {
    const description = catalog.descriptions().find((known) => known.name === name)
    if (description === undefined) {
      throw isLast
        ? new HostError(
            'UNKNOWN_TABLE',
            `the function ${name} was removed, and its table "${goal.table}" with it`,
          )
        : new HostError(
            'STREAM_NOT_UPSTREAM',
            `the function ${name}, which led to the table "${goal.table}", was removed: ask without "after" for what is there`,
          )
    }
    using change = nextChange(catalog, name)
    if (isLast && goal.partition !== undefined && isElsewhere(goal.partition)) {
      throw new HostError(
        'RECOVERING',
        `partition ${goal.partition} of the table "${goal.table}" went to another host while it was waited for: try again`,
        { function: name, partition: goal.partition },
      )
    }
    const behind = behindOf(catalog, description, needs, isLast ? goal.partition : undefined)
    if (behind === undefined) return
    try {
      await wait.for(change.happened)
    } catch (error) {
      throw error instanceof HostError && error.code === 'WAIT_TIMEOUT'
        ? tooLate(goal, behind, error)
        : error
    }
  }
}

function behindOf(
  catalog: Catalog,
  { name, inputs }: FunctionDescription,
  needs: Needs,
  only: number | undefined,
): Behind | undefined {
  for (const input of inputs) {
    for (const [partition, needed] of needs.get(input.topic) ?? []) {
      if (only !== undefined && partition !== only) continue
      const position = catalog.position(name, input.topic, partition)
      if (position < needed) {
        const state = catalog.states().get(name) ?? 'stopped'
        return { function: name, state, stream: input.stream, partition, position, needed }
      }
    }
  }
  return undefined
}

/** Now that these functions have passed: the ends of what they write, for those that read it. */
async function endsBehind(catalog: Catalog, goal: Goal, passed: readonly string[]): Promise<Needs> {
  const upstream = topicsBefore(catalog, goal)
  const topics = new Set(
    catalog
      .descriptions()
      // The table's own function is the last: what it writes leads back to it at most.
      .filter(({ name }) => name !== goal.function && passed.includes(name))
      .flatMap((description) => writtenTopics(description))
      .filter((topic) => upstream.has(topic)),
  )
  const needs: Needs = new Map()
  await Promise.all(
    [...topics].map(async (topic) => {
      const ends = await catalog.ends(topic)
      ends.forEach((end, partition) => {
        if (end > 0) need(needs, topic, partition, end)
      })
    }),
  )
  return needs
}

function need(needs: Needs, topic: string, partition: number, position: number): void {
  const partitions = needs.get(topic) ?? new Map<number, number>()
  partitions.set(partition, Math.max(partitions.get(partition) ?? 0, position))
  needs.set(topic, partitions)
}

function tooLate(goal: Goal, behind: Behind, { message, cause }: HostError): HostError {
  return new HostError(
    'WAIT_TIMEOUT',
    `the table "${goal.table}" does not reflect the emit yet (${message}): ${behind.function} (${behind.state}) ` +
      `is at ${behind.position} of ${behind.stream}/${behind.partition} and has to reach ${behind.needed}`,
    { cause, details: behind },
  )
}
