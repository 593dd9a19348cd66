// Waits until a table reflects the records of a token, over as many functions as lie between stream and table.
import { HostError } from '../errors.js'
import type { Catalog, TableEntry } from '../functions/catalog.js'
import type { Log } from '../log/log.js'
import { nextChange } from './next-change.js'
import { isElsewhere, type ReachedDeps, reached } from './reached.js'
import { partitionsOf } from './serving.js'
import type { Token } from './token.js'
import {
  type Goal,
  type Needs,
  need,
  notUpstream,
  readers,
  topicsBefore,
  writtenTopics,
} from './upstream.js'
import type { Wait } from './waiting.js'

export interface AfterDeps extends ReachedDeps {
  readonly log: Log
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
export async function waitUntilServing(deps: ReachedDeps, goal: Goal, wait: Wait): Promise<void> {
  const { catalog } = deps
  while (true) {
    using change = nextChange(catalog, goal.function)
    const table = catalog.table(goal.table)
    if (table === undefined || serves(deps, table, goal.partition)) return
    try {
      await wait.for(change.happened)
    } catch (error) {
      if (error instanceof HostError && error.code === 'WAIT_TIMEOUT') return
      throw error
    }
  }
}

/** What another has is for that one to say. */
function serves(deps: ReachedDeps, table: TableEntry, only: number | undefined): boolean {
  const partitions = only === undefined ? partitionsOf(table) : [only]
  return partitions.every(
    (each) => table.isServing(each) || isElsewhere(deps, table.function, each),
  )
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
