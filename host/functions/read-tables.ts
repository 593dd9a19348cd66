// Tables of others that a function reads: by the names of their functions, or by their topics.
import type { CodecKind } from '../../sdk/codec.js'
import type { EdgeDescription } from './description.js'
import { inWords, oneOf, type Report } from './in-words.js'
import { isFunctionName, ownNames } from './names.js'
import { hashers, nameIn, type Placement, toldOf } from './placement.js'

/** What `topicTable` makes, or looks as if it had. */
interface Told {
  readonly topic: unknown
  readonly codec: unknown
  readonly hasher?: unknown
}

export interface ReadTablesOptions {
  readonly of: Placement
  /** The topic of the function's own table; it is not read as another's. */
  readonly own: string | undefined
  kindOf(where: string, codec: unknown): CodecKind
  readonly report: Report
}

export function readTables(
  where: 'joins' | 'lookups',
  given: Readonly<Record<string, unknown>>,
  options: ReadTablesOptions,
): EdgeDescription[] {
  return Object.entries(given).map(([table, told]) => {
    const at = `${where}.${table}`
    const { own, report } = options
    const found = isTold(told)
      ? byTopic(at, table, told, options)
      : byName(at, table, told, options)
    if (found.topic === own) {
      report(at, `${found.topic} is the function's own table: use ctx.get()`)
    }
    // A key of the function has to be in the same partition of the table.
    const { hasher } = options.of
    if (where === 'joins' && found.hasher !== hasher) {
      report(
        at,
        `its keys are placed by ${found.hasher}, those of the function by ${hasher}: take it as a lookup`,
      )
    }
    return found
  })
}

function byTopic(
  at: string,
  stream: string,
  { topic, codec, hasher }: Told,
  { of, kindOf, report }: ReadTablesOptions,
): EdgeDescription {
  return {
    stream,
    topic: nameIn(at, topic, 249, report) ?? stream,
    hasher: hasher === undefined ? of.hasher : oneOf(`${at}.hasher`, hasher, hashers, report),
    codec: kindOf(at, codec),
    isByTopic: true,
  }
}

function byName(
  at: string,
  stream: string,
  codec: unknown,
  { of: { namespace, hasher }, kindOf, report }: ReadTablesOptions,
): EdgeDescription {
  if (!isFunctionName(stream)) {
    report(
      at,
      `a table has the name of its function, such as click-count, not ${inWords(stream)}; one that is not a function's is topicTable("topic", codec)`,
    )
  }
  if (toldOf(codec) !== undefined) {
    report(
      at,
      'topic("…", codec) is for streams: topicTable("…", codec) names the topic of a table',
    )
  }
  const { table: topic } = ownNames(stream, namespace)
  return { stream, topic, hasher, codec: kindOf(at, codec) }
}

const isTold = (value: unknown): value is Told =>
  typeof value === 'object' && value !== null && 'codec' in value && 'topic' in value
