// Reads back what was copied and holds it against the source: streams record for record, tables but for what was superseded.
import { setTimeout as rest } from 'node:timers/promises'
import { HostError } from '../errors.js'
import { keyOf, type Log, type PartitionInfo, type Position, type TopicInfo } from '../log/log.js'
import type { GroupPosition, SourceTopic } from './inventory.js'
import type { BegunTopic } from './journal.js'
import type { Patience } from './patience.js'
import { checksumOf } from './record-digest.js'
import { type PartitionScan, scanTopic } from './scan.js'
import { compareTable } from './table-check.js'

export interface VerifyOptions {
  readonly source: Log
  readonly target: Log
  readonly readBytes: number
  /** For the keys of a pass over a table. */
  readonly keyBytes: number
  readonly patience: Patience
  readonly signal: AbortSignal
  /** Offsets of the target that were passed, and records. */
  moved(offsets: number, records: number): void
}

export interface VerifiedTopic {
  readonly name: string
  readonly kind: 'stream' | 'table'
  readonly partitions: number
  /** In the source. */
  readonly records: number
  readonly bytes: number
  /** SHA-256 over the checksums of the partitions. */
  readonly checksum: string
  /** Of a table: those that the target does not have any more, since later ones of their keys are there. */
  readonly superseded: number
  /** The position in the target that stands for each position of a group in the source. */
  readonly positions: readonly { readonly from: GroupPosition; readonly to: Position }[]
}

/** A topic that is there otherwise, in words. */
export class Difference {
  readonly topic: string
  readonly partition: number
  readonly text: string

  constructor(topic: string, partition: number, text: string) {
    this.topic = topic
    this.partition = partition
    this.text = `${keyOf({ topic, partition })}: ${text}`
  }
}

/** `scans`: of the source's partitions, with the number of records before each of the positions. */
export async function verifyTopic(
  topic: SourceTopic,
  scans: readonly PartitionScan[],
  positions: readonly GroupPosition[],
  begun: BegunTopic | undefined,
  options: VerifyOptions,
): Promise<VerifiedTopic | readonly Difference[]> {
  const { target, patience } = options
  const { name, kind } = topic
  const look = async (): Promise<TopicInfo | undefined> =>
    (await patience.ask(() => target.describe([name]))).get(name)
  let there = await look()
  if (there === undefined) return [new Difference(name, 0, 'the topic is gone')]
  const reading = { log: target, readBytes: options.readBytes, patience, signal: options.signal }
  const scan = async (info: TopicInfo, skips: readonly number[] = []): Promise<PartitionScan[]> =>
    await scanTopic(info, {
      ...reading,
      kind,
      moved: options.moved,
      skip: (partition) => skips[partition] ?? 0,
      numbers: (partition) => scans[partition]?.before.values() ?? [],
    })
  there = await decided(there, look, options.signal)
  let found = await scan(there)
  // What has expired in the source after it was copied.
  const skips = scans.map(({ count }, partition) => {
    const { oldest = 0 } = topic.info.partitions[partition] ?? {}
    const hasExpired = kind === 'stream' && (begun?.oldest[partition] ?? oldest) < oldest
    return hasExpired ? Math.max(0, (found[partition]?.count ?? 0) - count) : 0
  })
  if (skips.some((skip) => skip > 0)) found = await scan(there, skips)

  const differences: Difference[] = []
  let superseded = 0
  const places = new Map<string, number>()
  const placeOf = (partition: number, offset: number): string => `${partition} ${offset}`
  for (const [partition, wanted] of scans.entries()) {
    const at = there.partitions[partition]
    const one = found[partition]
    if (at === undefined || one === undefined) continue
    const same = await comparePartition(topic, at, { wanted, found: one }, options)
    if (same instanceof Difference) {
      differences.push(same)
      continue
    }
    superseded += wanted.count - one.count
    for (const [position, offset] of same) places.set(placeOf(partition, position), offset)
  }
  if (differences.length > 0) return differences
  return {
    name,
    kind,
    partitions: topic.partitions,
    records: scans.reduce((sum, { count }) => sum + count, 0),
    bytes: scans.reduce((sum, { bytes }) => sum + bytes, 0),
    checksum: checksumOf(scans.map(({ checksum }) => checksum)),
    superseded,
    positions: positions
      .filter((position) => position.topic === name)
      .flatMap((from) => {
        const offset = places.get(placeOf(from.partition, from.offset))
        const { partition } = from
        return offset === undefined ? [] : [{ from, to: { topic: name, partition, offset } }]
      }),
  }
}

/** A transaction of somebody else's may hold back what is behind it for a while. */
async function decided(
  found: TopicInfo,
  look: () => Promise<TopicInfo | undefined>,
  signal: AbortSignal,
): Promise<TopicInfo> {
  let there = found
  const since = performance.now()
  while (there.partitions.some(isHeld) && performance.now() - since < heldMs) {
    await rest(heldStepMs, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
    there = (await look()) ?? there
  }
  return there
}

/** The position there for each of the source's that was wanted. */
async function comparePartition(
  { name, kind, info }: SourceTopic,
  at: PartitionInfo,
  { wanted, found }: { readonly wanted: PartitionScan; readonly found: PartitionScan },
  options: VerifyOptions,
): Promise<ReadonlyMap<number, number> | Difference> {
  const { partition } = at
  if (found.checksum === wanted.checksum && found.count === wanted.count) {
    const placed = [...wanted.before].map(([position, count]): [number, number] => [
      position,
      found.offsets.get(count) ?? at.stableEnd,
    ])
    return new Map(placed)
  }
  const counts = `${wanted.count} records are here and ${found.count} there`
  const from = info.partitions[partition]
  if (kind === 'stream' || found.count >= wanted.count || from === undefined) {
    const text = found.count === wanted.count ? `${counts}, and not the same` : counts
    return new Difference(name, partition, text)
  }
  const compared = await compareTable(name, partition, {
    ...options,
    from: { from: from.oldest, to: from.stableEnd },
    to: { from: at.oldest, to: at.stableEnd },
    positions: [...wanted.before.keys()],
  })
  return 'problem' in compared
    ? new Difference(name, partition, `${counts}, and ${compared.problem}`)
    : compared.places
}

/** As long as Kafka's own clients may have one open unless they are told otherwise. */
const heldMs = 60_000
const heldStepMs = 20

const isHeld = ({ stableEnd, end }: PartitionInfo): boolean => stableEnd < end

/** Every difference, and what to do. */
export function differs(differences: readonly Difference[]): HostError {
  const [first] = differences
  const topics = [...new Set(differences.map(({ topic }) => topic))]
  const list = differences.map(({ text }) => `\n  - ${text}`).join('')
  return new HostError(
    'MOVE_DIFFERS',
    `what was read back is not what was copied: somebody else has written there, or what the host has compacted meanwhile was copied in part, or the topic ` +
      `keeps less than it should (retention.ms). Delete there ${topics.join(', ')}, and run this command again: it is copied anew${list}`,
    {
      ...(first === undefined ? {} : { stream: first.topic, partition: first.partition }),
      details: { problems: differences.map(({ text }) => text) },
    },
  )
}
