// Makes the topics of a function, or takes them as they are, and says where its edges lie.
import { HostError } from '../errors.js'
import type { GroupEdges, Log, TopicInfo, TopicSpec } from '../log/log.js'
import type { Edges } from '../processor/program.js'
import type { EdgeDescription, FunctionDescription } from './description.js'

/**
 * Rejects with TOPIC_MISMATCH if inputs, table and loop have not the same number of partitions; with RECOVERING for a view whose topic
 * nobody has made yet.
 */
export async function prepareTopics(
  log: Log,
  description: FunctionDescription,
  defaultPartitions: number,
): Promise<Edges> {
  const { kind, name, inputs, outputs, table, loop, joins } = description
  if (kind === 'view') return await viewEdges(log, description)
  const together = [...inputs, ...(table === null ? [] : [table]), ...(loop === null ? [] : [loop])]
  const named = [...together, ...joins, ...outputs].map(({ topic }) => topic)
  const known = await log.describe(named, { endsOf: [] })
  // A joined table is made by who writes it; if it is there, the rest is made to suit it.
  const partitions = agreedPartitions(name, [...together, ...joins], known) ?? defaultPartitions

  const specs = new Map<string, TopicSpec>()
  for (const { topic } of together) {
    specs.set(topic, { name: topic, kind: topic === table?.topic ? 'table' : 'stream', partitions })
  }
  for (const { topic } of outputs) {
    if (!specs.has(topic)) {
      const found = known.get(topic)?.partitions.length ?? defaultPartitions
      specs.set(topic, { name: topic, kind: 'stream', partitions: found })
    }
  }
  await log.ensure([...specs.values()])

  const sources = [...inputs, ...(loop === null ? [] : [loop])]
  return {
    function: name,
    group: description.group,
    partitions,
    hasher: description.hasher,
    inputs: sources.map(({ stream, topic }) => ({ stream, topic })),
    outputs: outputs.map(({ stream, topic, hasher }) => ({
      stream,
      topic,
      hasher,
      partitions: specs.get(topic)?.partitions ?? defaultPartitions,
    })),
    table: table === null ? null : { topic: table.topic },
    loop: loop === null ? null : { topic: loop.topic },
    joins: description.joins.map(tableEdge),
    lookups: description.lookups.map(tableEdge),
  }
}

/** Who writes the table makes its topic: only they know of how many partitions. */
async function viewEdges(log: Log, description: FunctionDescription): Promise<Edges> {
  const { name, group, hasher, inputs, table } = description
  const topic = table?.topic ?? ''
  const found = (await log.describe([topic], { endsOf: [] })).get(topic)
  if (found === undefined || found.partitions.length === 0) {
    throw new HostError(
      'RECOVERING',
      `${name}: the topic ${topic} does not exist yet, whoever writes the table makes it; the view begins when it is there`,
      { function: name },
    )
  }
  return {
    function: name,
    group,
    partitions: found.partitions.length,
    hasher,
    inputs: inputs.map(({ stream, topic }) => ({ stream, topic })),
    outputs: [],
    table: { topic },
    loop: null,
    joins: [],
    lookups: [],
  }
}

/**
 * What all that share its partitions have to agree on. Its outputs, its codecs and its code may be each version's own: they are no more than
 * what a save may change while it runs.
 */
export function groupEdges({
  inputs,
  joins,
  lookups,
  table,
  hasher,
  partitions,
}: Edges): GroupEdges {
  const copied = (edges: Edges['joins']) =>
    edges.map(({ topic, hasher: its }) => (its === hasher ? topic : `${topic} (${its})`)).sort()
  return {
    inputs: inputs.map(({ topic }) => topic).sort(),
    joins: copied(joins),
    lookups: copied(lookups),
    table: table?.topic ?? null,
    hasher,
    partitions,
  }
}

const tableEdge = ({ stream: table, topic, hasher }: EdgeDescription) => ({ table, topic, hasher })

function agreedPartitions(
  name: string,
  edges: readonly EdgeDescription[],
  known: ReadonlyMap<string, TopicInfo>,
): number | undefined {
  const found = edges.flatMap(({ topic }) => {
    const info = known.get(topic)
    return info === undefined ? [] : [{ topic, count: info.partitions.length }]
  })
  const [first] = found
  const other = found.find(({ count }) => count !== first?.count)
  if (first === undefined || other === undefined) return first?.count
  throw new HostError(
    'TOPIC_MISMATCH',
    `${name}: ${first.topic} has ${first.count} partitions, ${other.topic} has ${other.count}: a function's inputs, joins, table and loop need the same number, so that a key is in the same partition of each. Delete the one that is wrong (kafka-topics.sh --delete --topic NAME, with what it holds): the host makes it anew with the number of the other; then millrace resume ${name}`,
    { function: name },
  )
}

/** True: one version can take the place of the other at a record boundary, without recovering anything. */
export function hasSameEdges(one: FunctionDescription, other: FunctionDescription): boolean {
  const sources = ({
    kind,
    store,
    hasher,
    inputs,
    table,
    loop,
    group,
    joins,
    lookups,
    replicas,
  }: FunctionDescription) =>
    JSON.stringify([
      kind,
      group,
      store,
      hasher,
      inputs.map(({ stream, topic }) => [stream, topic]),
      table?.topic,
      loop?.topic,
      joins.map(tableEdge),
      lookups.map(tableEdge),
      // Told to the group when it is joined.
      [replicas.standby, replicas.views],
    ])
  return sources(one) === sources(other)
}
