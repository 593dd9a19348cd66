// What members of a group tell each other, in the form that Kafka's own tools read, with what is ours as user data.
import type { GroupPeer } from '../log.js'
import type { Claim } from './assignor.js'
import { Reader, Writer } from './wire.js'

export const protocolName = 'millrace'
const version = 0

type Told = Omit<Claim, 'member' | 'topics'>

export function packClaim({ topics, ...told }: Omit<Claim, 'member'>): Buffer {
  const writer = new Writer(false)
  writer.int16(version).array([...topics], (topic) => writer.string(topic))
  writer.bytes(Buffer.from(JSON.stringify(told satisfies Told)))
  return writer.take()
}

/** Of a member whose user data is another's, nothing but its topics is known. */
export function unpackClaim(member: string, metadata: Buffer): Claim {
  const reader = new Reader(metadata, false)
  reader.int16()
  const topics = reader.array(() => reader.text())
  const told = parse(reader.bytes())
  const { standbys } = told
  return {
    member,
    topics,
    ...placeOf(told, member),
    owned: numbersIn(told.owned),
    warm: numbersIn(told.warm),
    standbys: typeof standbys === 'number' && standbys > 0 ? Math.floor(standbys) : 0,
  }
}

/** `topics`: those that are shared out, by the one who does. */
export function packShare(
  topics: readonly string[],
  partitions: readonly number[],
  { standbys, members }: Pick<Share, 'standbys' | 'members'>,
): Buffer {
  const writer = new Writer(false)
  writer.int16(version).array([...topics], (topic) => {
    writer.string(topic).array([...partitions], (partition) => writer.int32(partition))
  })
  writer.bytes(Buffer.from(JSON.stringify({ standbys, members })))
  return writer.take()
}

export interface Share {
  readonly topics: readonly string[]
  readonly partitions: readonly number[]
  readonly standbys: readonly number[]
  /** All of the group, with what each has. */
  readonly members: readonly GroupPeer[]
}

export function unpackShare(assignment: Buffer): Share {
  if (assignment.length === 0) return { topics: [], partitions: [], standbys: [], members: [] }
  const reader = new Reader(assignment, false)
  reader.int16()
  const topics: string[] = []
  const shares = reader.array(() => {
    topics.push(reader.text())
    return reader.array(() => reader.int32())
  })
  const { standbys, members } = parse(reader.bytes())
  return {
    topics,
    // Copartitioned: each topic's are the same.
    partitions: [...new Set(shares.flat())].sort((a, b) => a - b),
    standbys: numbersIn(standbys),
    members: Array.isArray(members) ? members.map(peerOf) : [],
  }
}

function peerOf(told: unknown): GroupPeer {
  const fields = fieldsOf(told)
  return {
    ...placeOf(fields, ''),
    partitions: numbersIn(fields.partitions),
    standbys: numbersIn(fields.standbys),
  }
}

const placeOf = (
  { instance, address }: Fields,
  unnamed: string,
): Pick<GroupPeer, 'instance' | 'address'> => ({
  instance: typeof instance === 'string' ? instance : unnamed,
  address: typeof address === 'string' ? address : undefined,
})

const numbersIn = (told: unknown): number[] =>
  Array.isArray(told) ? told.filter((one): one is number => Number.isInteger(one)) : []

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (told: unknown): Fields =>
  typeof told === 'object' && told !== null ? { ...told } : {}

function parse(bytes: Uint8Array | null): Fields {
  try {
    return fieldsOf(JSON.parse(Buffer.from(bytes ?? []).toString()))
  } catch {
    return {}
  }
}
