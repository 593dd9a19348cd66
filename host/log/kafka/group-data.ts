// What members of a group tell each other, in the form that Kafka's own tools read, with what is ours as user data.
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import type { GroupEdges, GroupPeer } from '../log.js'
import type { Claim } from './claim.js'
import { Reader, Writer } from './wire.js'

export const protocolName = 'millrace'
/** Of Kafka's own part: it says what fields that has. */
const version = 0
/**
 * Of our part. A later form adds fields to those of the earlier ones: who does not know them reads the others, so that a host may be started
 * anew with another version of this one beside the rest. 0 (not told): without edges, versions, and who is refused.
 */
const form = 1

interface Told extends Omit<Claim, 'member' | 'topics'> {
  readonly form: number
}

export function packClaim({ topics, ...told }: Omit<Claim, 'member'>): Buffer {
  const writer = new Writer(false)
  writer.int16(version).array([...topics], (topic) => writer.string(topic))
  writer.bytes(Buffer.from(JSON.stringify({ form, ...told } satisfies Told)))
  return writer.take()
}

/** Of a member whose user data is another's, nothing but its topics is known. */
export function unpackClaim(member: string, metadata: Buffer): Claim {
  const reader = new Reader(metadata, false)
  reader.int16()
  const topics = reader.array(() => reader.text())
  const told = fieldsOf(parse(reader.bytes()))
  const { standbys, since } = told
  return {
    member,
    topics,
    ...placeOf(told, member),
    owned: numbersIn(told.owned),
    warm: numbersIn(told.warm),
    behind: Array.isArray(told.behind) ? told.behind.map(numbersIn) : [],
    standbys: typeof standbys === 'number' && standbys > 0 ? Math.floor(standbys) : 0,
    ...edgesIn(told),
    ...(typeof since === 'number' ? { since } : {}),
  }
}

/**
 * All members are told alike, and the broker keeps what each is told in one record, with the claims: above `message.max.bytes` (1 MB by
 * default) it refuses the assignment, whoever makes it. Therefore in few bytes: who has each partition, by numbers.
 */
export function packMembers(members: readonly GroupPeer[], edges?: GroupEdges): Buffer {
  const map: MembersMap = {
    form,
    ...(edges === undefined ? {} : { edges }),
    members: members.map(({ instance, address, version }) => ({ instance, address, version })),
    owners: byPartition(members.map(({ partitions }) => partitions)),
    standbys: byPartition(members.map(({ standbys }) => standbys)),
    refused: members.flatMap(({ isRefused = false }, member) => (isRefused ? [member] : [])),
  }
  return brotliCompressSync(JSON.stringify(map))
}

interface MembersMap {
  readonly form: number
  /** By which the group runs. */
  readonly edges?: GroupEdges
  readonly members: readonly { readonly [Field in keyof Place]: Place[Field] | undefined }[]
  /** Of each partition the members that have it, as their places in `members`. */
  readonly owners: readonly (readonly number[])[]
  readonly standbys: readonly (readonly number[])[]
  /** Those whose edges are others. */
  readonly refused: readonly number[]
}

type Place = Pick<GroupPeer, 'instance' | 'address' | 'version'>

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
  /** By which the group runs; absent: it is not told. */
  readonly edges?: GroupEdges
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
  return {
    topics,
    // Copartitioned: each topic's are the same.
    partitions: [...new Set(shares.flat())].sort((a, b) => a - b),
    ...unpackTold(reader.bytes()),
  }
}

/** Of one who shares out in another way nothing but the partitions is known. */
function unpackTold(bytes: Buffer | null): Pick<Share, 'standbys' | 'members' | 'edges'> {
  try {
    const told = new Reader(Buffer.from(bytes ?? []), false)
    const standbys = told.array(() => told.int32())
    return { standbys, ...unpackMembers(told.bytes() ?? new Uint8Array()) }
  } catch {
    return { standbys: [], members: [] }
  }
}

function unpackMembers(packed: Uint8Array): Pick<Share, 'members' | 'edges'> {
  const map = fieldsOf(parse(brotliDecompressSync(packed)))
  const members = Array.isArray(map.members) ? map.members : []
  const owned = byMember(map.owners, members.length)
  const standbys = byMember(map.standbys, members.length)
  const refused = new Set(numbersIn(map.refused))
  return {
    members: members.map((told, at) => ({
      ...placeOf(fieldsOf(told), ''),
      partitions: owned[at] ?? [],
      standbys: standbys[at] ?? [],
      ...(refused.has(at) ? { isRefused: true } : {}),
    })),
    ...edgesIn(map),
  }
}

function byMember(told: unknown, count: number): number[][] {
  const found = Array.from({ length: count }, (): number[] => [])
  const places = Array.isArray(told) ? told : []
  places.forEach((members, partition) => {
    for (const member of numbersIn(members)) found[member]?.push(partition)
  })
  return found
}

const placeOf = ({ instance, address, version }: Fields, unnamed: string): Place => ({
  instance: typeof instance === 'string' ? instance : unnamed,
  address: typeof address === 'string' ? address : undefined,
  ...(typeof version === 'string' ? { version } : {}),
})

function edgesIn({ edges }: Fields): { readonly edges?: GroupEdges } {
  const { inputs, joins, lookups, table, hasher, partitions } = fieldsOf(edges)
  const isHasher = hasher === 'murmur2' || hasher === 'fnv1a'
  if (!isHasher || typeof partitions !== 'number') return {}
  const topics = { inputs: textsIn(inputs), joins: textsIn(joins), lookups: textsIn(lookups) }
  return {
    edges: { ...topics, table: typeof table === 'string' ? table : null, hasher, partitions },
  }
}

const textsIn = (told: unknown): string[] =>
  Array.isArray(told) ? told.filter((one) => typeof one === 'string') : []

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
