// What members of a group tell each other, in the form that Kafka's own tools read, with what is ours as user data.
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
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
  const told = fieldsOf(parse(reader.bytes()))
  const { standbys } = told
  return {
    member,
    topics,
    ...placeOf(told, member),
    owned: numbersIn(told.owned),
    warm: numbersIn(told.warm),
    behind: Array.isArray(told.behind) ? told.behind.map(numbersIn) : [],
    standbys: typeof standbys === 'number' && standbys > 0 ? Math.floor(standbys) : 0,
  }
}

/**
 * All members are told alike, and the broker keeps what each is told in one record, with the claims: above `message.max.bytes` (1 MB by
 * default) it refuses the assignment, whoever makes it. Therefore in few bytes: who has each partition, by numbers.
 */
export function packMembers(members: readonly GroupPeer[]): Buffer {
  const map: MembersMap = {
    members: members.map(({ instance, address }) => ({ instance, address })),
    owners: byPartition(members.map(({ partitions }) => partitions)),
    standbys: byPartition(members.map(({ standbys }) => standbys)),
  }
  return brotliCompressSync(JSON.stringify(map))
}

interface MembersMap {
  readonly members: readonly Pick<GroupPeer, 'instance' | 'address'>[]
  /** Of each partition the members that have it, as their places in `members`. */
  readonly owners: readonly (readonly number[])[]
  readonly standbys: readonly (readonly number[])[]
}

function byPartition(ofMembers: readonly (readonly number[])[]): number[][] {
  const found: number[][] = []
  ofMembers.forEach((partitions, member) => {
    for (const partition of partitions) {
      while (found.length <= partition) found.push([])
      found[partition]?.push(member)
    }
  })
  return found
}

/** `topics`: those that are shared out, by the one who does. `members`: all of them, packed. */
export function packShare(
  topics: readonly string[],
  partitions: readonly number[],
  { standbys, members }: { readonly standbys: readonly number[]; readonly members: Uint8Array },
): Buffer {
  const writer = new Writer(false)
  writer.int16(version).array([...topics], (topic) => {
    writer.string(topic).array([...partitions], (partition) => writer.int32(partition))
  })
  const told = new Writer(false)
  told.array([...standbys], (partition) => told.int32(partition)).bytes(members)
  writer.bytes(told.take())
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
  const told = new Reader(Buffer.from(reader.bytes() ?? []), false)
  const standbys = told.array(() => told.int32())
  return {
    topics,
    // Copartitioned: each topic's are the same.
    partitions: [...new Set(shares.flat())].sort((a, b) => a - b),
    standbys,
    members: unpackMembers(told.bytes() ?? new Uint8Array()),
  }
}

function unpackMembers(packed: Uint8Array): GroupPeer[] {
  const map = fieldsOf(parse(brotliDecompressSync(packed)))
  const members = Array.isArray(map.members) ? map.members : []
  const owned = byMember(map.owners, members.length)
  const standbys = byMember(map.standbys, members.length)
  return members.map((told, at) => ({
    ...placeOf(fieldsOf(told), ''),
    partitions: owned[at] ?? [],
    standbys: standbys[at] ?? [],
  }))
}

function byMember(told: unknown, count: number): number[][] {
  const found = Array.from({ length: count }, (): number[] => [])
  const places = Array.isArray(told) ? told : []
  places.forEach((members, partition) => {
    for (const member of numbersIn(members)) found[member]?.push(partition)
  })
  return found
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

/** Undefined: it is no JSON. */
function parse(bytes: Uint8Array | null): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? []).toString())
  } catch {
    return undefined
  }
}
