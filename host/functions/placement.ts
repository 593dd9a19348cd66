// Where a function lies in the log: its group and its topics, under names made of its own or under those that are there already.
import type { Hasher } from '../../sdk/topic.js'
import type { EdgeDescription } from './description.js'
import { inWords, listed, oneOf, type Report, unknownFields } from './in-words.js'
import { type OwnNames, ownNames } from './names.js'

export interface Placement extends OwnNames {
  readonly hasher: Hasher
  readonly namespace: string
}

type Fields = Readonly<Record<string, unknown>>

export const hashers = ['murmur2', 'fnv1a'] as const satisfies Hasher[]
const overrides = ['group', 'tableTopic', 'loopTopic'] as const

/** `revision`: as it was given, if it was given rightly. */
export function placementOf(
  given: Fields,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  revision: string | undefined,
  report: Report,
): Placement {
  const named = overrides.filter((field) => given[field] !== undefined)
  if (given.revision !== undefined && named.length > 0) {
    report(
      'revision',
      `it would give group, table and loop other names, and ${listed(named)} says one: begin anew with another group and tableTopic instead`,
    )
  }
  for (const [field, edge] of [['tableTopic', 'table'] as const, ['loopTopic', 'loop'] as const]) {
    if (given[field] === undefined || given[edge] !== undefined) continue
    report(field, `there is no ${edge} that would lie in it: add ${edge}, or take it out`)
  }
  // With the longest ending that a name of its own may get.
  const group = nameIn('group', given.group, 249 - '-table'.length, report)
  const table = nameIn('tableTopic', given.tableTopic, 249, report)
  const loop = nameIn('loopTopic', given.loopTopic, 249, report)
  const own = ownNames(name, namespace, { revision, group, table, loop })
  if (own.table === own.loop && named.length > 0) {
    report('loopTopic', `${own.loop} is the table's topic: give the loop another`)
  }
  return { ...own, namespace, hasher: oneOf('hasher', given.hasher, hashers, report) }
}

/** Where a stream lies. Reports what `topic` was told wrongly. */
export function streamPlace(
  where: string,
  stream: string,
  codec: unknown,
  { namespace, hasher }: Placement,
  report: Report,
): Pick<EdgeDescription, 'topic' | 'hasher'> {
  const told = toldOf(codec)
  if (told === undefined) return { topic: namespace + stream, hasher }
  unknownFields(where, told, ['name', 'hasher'], report)
  const topic = nameIn(where, told.name, 249, report) ?? namespace + stream
  if (told.hasher === undefined) return { topic, hasher }
  const own = oneOf(where, told.hasher, hashers, report)
  if (where.startsWith('inputs') && own !== hasher) {
    report(
      where,
      `its keys are placed by ${own}, those of the function by ${hasher}: a key has to be in one partition of all inputs, table and loop; give the function hasher: '${own}'`,
    )
  }
  return { topic, hasher: own }
}

/** `topic` is for streams. */
export function refuseTopic(
  where: string,
  codec: unknown,
  field: 'tableTopic' | 'loopTopic',
  report: Report,
): void {
  if (toldOf(codec) === undefined) return
  report(where, `topic('…') is for streams: say ${field}: '…' beside it`)
}

/** A stream is one topic, and a topic one stream, or positions and tokens would be mixed up. */
export function oneTopicEach(
  inputs: readonly EdgeDescription[],
  outputs: readonly EdgeDescription[],
  report: Report,
): void {
  const seen: EdgeDescription[] = []
  const check = (where: string, edges: readonly EdgeDescription[]) => {
    for (const edge of edges) {
      for (const other of seen) {
        const problem = streamConflict(edge, other)
        if (problem !== undefined) report(`${where}.${edge.stream}`, problem)
      }
      seen.push(edge)
    }
  }
  check('inputs', inputs)
  check('outputs', outputs)
}

/** What two edges say of a stream that cannot both be; `by` names who says it. */
export function streamConflict(
  one: EdgeDescription,
  other: EdgeDescription,
  by: readonly [one: string, other: string] = ['here', 'there'],
): string | undefined {
  const isSame = one.topic === other.topic
  if (isSame && one.stream !== other.stream) {
    return `the topic ${one.topic} is the stream "${one.stream}" ${by[0]} and "${other.stream}" ${by[1]}: give it one name`
  }
  if (!isSame && one.stream === other.stream) {
    return `the stream "${one.stream}" is the topic ${one.topic} ${by[0]} and ${other.topic} ${by[1]}: name the same topic, or give one of them another name`
  }
  if (!isSame || one.hasher === other.hasher) return undefined
  return `the keys of the stream "${one.stream}" are placed by ${one.hasher} ${by[0]} and by ${other.hasher} ${by[1]}: give a function that reads it the hasher of the topic, and say topic('${one.topic}', codec, { hasher }) where it is an output`
}

export function toldOf(codec: unknown): Fields | undefined {
  if (typeof codec !== 'object' || codec === null) return undefined
  return Reflect.get(codec, Symbol.for('millrace.topic'))
}

/** As Kafka has names of topics. A group's is a folder of the host's, too. */
export function nameIn(
  where: string,
  given: unknown,
  longest: number,
  report: Report,
): string | undefined {
  if (given === undefined && overrides.some((field) => field === where)) return undefined
  const isName =
    typeof given === 'string' &&
    /^[A-Za-z0-9._-]+$/.test(given) &&
    given.length <= longest &&
    !/^\.{1,2}$|\.inputs\.json$/.test(given)
  if (isName) return given
  report(
    where,
    `a name of 1 to ${longest} letters, digits, ".", "_" or "-" is needed, as it is in the log, not ${inWords(given)}`,
  )
  return undefined
}
