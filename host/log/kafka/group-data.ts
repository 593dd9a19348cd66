// What members of a group tell each other, in the form that Kafka's own tools read, with what is ours as user data.
import type { Claim } from './assignor.js'
import { Reader, Writer } from './wire.js'

export const protocolName = 'millrace'
const version = 0

interface Told {
  readonly instance: string
  readonly owned: readonly number[]
}

export function packClaim({ topics, instance, owned }: Omit<Claim, 'member'>): Buffer {
  const writer = new Writer(false)
  const told: Told = { instance, owned }
  writer.int16(version).array([...topics], (topic) => writer.string(topic))
  writer.bytes(Buffer.from(JSON.stringify(told)))
  return writer.take()
}

/** Of a member whose user data is another's, nothing but its topics is known. */
export function unpackClaim(member: string, metadata: Buffer): Claim {
  const reader = new Reader(metadata, false)
  reader.int16()
  const topics = reader.array(() => reader.text())
  const told = parse(reader.bytes())
  const instance = typeof told.instance === 'string' ? told.instance : member
  const owned = Array.isArray(told.owned) ? told.owned.filter(Number.isInteger) : []
  return { member, topics, instance, owned }
}

/** The owners' instances, by partition. */
export type Owners = ReadonlyMap<number, string>

/** `topics`: those that are shared out, by the one who does. */
export function packShare(
  topics: readonly string[],
  partitions: readonly number[],
  owners: Owners,
): Buffer {
  const writer = new Writer(false)
  writer.int16(version).array([...topics], (topic) => {
    writer.string(topic).array([...partitions], (partition) => writer.int32(partition))
  })
  writer.bytes(Buffer.from(JSON.stringify({ owners: [...owners] })))
  return writer.take()
}

export interface Share {
  readonly topics: readonly string[]
  readonly partitions: readonly number[]
  readonly owners: Owners
}

export function unpackShare(assignment: Buffer): Share {
  const none = { topics: [], partitions: [], owners: new Map<number, string>() }
  if (assignment.length === 0) return none
  const reader = new Reader(assignment, false)
  reader.int16()
  const topics: string[] = []
  const shares = reader.array(() => {
    topics.push(reader.text())
    return reader.array(() => reader.int32())
  })
  const { owners } = parse(reader.bytes())
  // Copartitioned: each topic's are the same.
  const partitions = [...new Set(shares.flat())].sort((a, b) => a - b)
  return {
    topics,
    partitions,
    owners: new Map(Array.isArray(owners) ? owners.filter(isOwner) : []),
  }
}

const isOwner = (entry: unknown): entry is [number, string] =>
  Array.isArray(entry) && Number.isInteger(entry[0]) && typeof entry[1] === 'string'

function parse(bytes: Uint8Array | null): Record<string, unknown> {
  try {
    const told: unknown = JSON.parse(Buffer.from(bytes ?? []).toString())
    return typeof told === 'object' && told !== null ? { ...told } : {}
  } catch {
    return {}
  }
}
