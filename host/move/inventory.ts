// What there is to move: topics, the groups' positions, and a fingerprint of both.
import { HostError } from '../errors.js'
import type { OwnedLog } from '../log/embedded/contents.js'
import type { Position, TopicInfo, TopicSpec } from '../log/log.js'
import { checksumOf } from './record-digest.js'

export interface SourceTopic extends TopicSpec {
  readonly info: TopicInfo
}

export interface GroupPosition extends Position {
  readonly group: string
}

export interface Inventory {
  readonly topics: readonly SourceTopic[]
  readonly positions: readonly GroupPosition[]
  /** Another one: something was written, committed, made or removed. */
  readonly fingerprint: string
}

/** Throws INPUT_LOST for a group that is to read what has expired: moved, nobody could tell any more. */
export async function takeInventory(source: OwnedLog): Promise<Inventory> {
  const { topics: specs, groups } = await source.contents()
  const infos = await source.describe(specs.map(({ name }) => name))
  const topics = specs
    .flatMap((spec) => {
      const info = infos.get(spec.name)
      return info === undefined ? [] : [{ ...spec, info }]
    })
    .sort(byName)
  const positions: GroupPosition[] = []
  for (const group of [...groups].sort()) {
    for (const position of await source.committed(group)) positions.push({ ...position, group })
  }
  checkPositions(positions, infos)
  const lines = [
    ...topics.flatMap(({ name, info }) =>
      info.partitions.map((one) => `${name} ${info.id} ${one.partition} ${one.stableEnd}`),
    ),
    ...positions
      .map(
        ({ group, topic, partition, offset }) =>
          `${JSON.stringify(group)} ${topic} ${partition} ${offset}`,
      )
      .sort(),
  ]
  return { topics, positions, fingerprint: checksumOf(lines) }
}

function checkPositions(
  positions: readonly GroupPosition[],
  infos: ReadonlyMap<string, TopicInfo>,
): void {
  const lost = positions.filter(({ topic, partition, offset }) => {
    const at = infos.get(topic)?.partitions[partition]
    return at !== undefined && offset < at.oldest
  })
  const [first] = lost
  if (first === undefined) return
  const { group, topic, partition, offset } = first
  const groups = [...new Set(lost.map((position) => position.group))].join(', ')
  throw new HostError(
    'INPUT_LOST',
    `${group} is to go on at ${offset} in ${topic}/${partition}, and what follows has expired: nothing was moved. Start the host once more and have ` +
      `its function go on, or reset it with millrace reset, also when its file is gone; this concerns ${groups}`,
    { stream: topic, partition, offset, details: { groups: groups.split(', ') } },
  )
}

const byName = (one: { readonly name: string }, other: { readonly name: string }): number =>
  one.name < other.name ? -1 : 1
