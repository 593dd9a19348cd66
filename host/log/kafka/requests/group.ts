// The requests of a group's member, all to the group's coordinator.
import type { KafkaRequest, Response } from '../request.js'
import type { GroupMember, Outcome } from './transaction.js'

export interface Member {
  readonly member: string
  /** As its own `metadata` was when it joined. */
  readonly metadata: Buffer
}

export interface JoinedGroup extends Response {
  /** MEMBER_ID_REQUIRED: join again with the id that is given. */
  readonly error: number
  readonly generation: number
  readonly leader: string
  /** One's own. */
  readonly member: string
  /** All of them, for the leader; else none. */
  readonly members: readonly Member[]
}

export interface JoinGroupOptions {
  readonly group: string
  /** Empty: not known to the group yet. */
  readonly member: string
  /** Without a heartbeat for so long it is out. */
  readonly sessionTimeoutMs: number
  /** How long the others wait for it when they share out anew. */
  readonly rebalanceTimeoutMs: number
  /** By which the leader shares out; all members have to know it. */
  readonly protocol: string
  readonly metadata: Uint8Array
}

const protocolType = 'consumer'
const noStaticMember = null

/** Answered when all members have joined. */
export const joinGroup = (options: JoinGroupOptions): KafkaRequest<JoinedGroup> => ({
  apiName: 'JoinGroup',
  apiKey: 11,
  apiVersion: 5,
  isFlexible: false,
  waitMs: options.rebalanceTimeoutMs,
  encode(writer) {
    const { group, member, sessionTimeoutMs, rebalanceTimeoutMs, protocol, metadata } = options
    writer.string(group).int32(sessionTimeoutMs).int32(rebalanceTimeoutMs)
    writer.string(member).string(noStaticMember).string(protocolType)
    writer.array([protocol], (name) => writer.string(name).bytes(metadata))
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const error = reader.int16()
    const generation = reader.int32()
    reader.string() // protocol
    const leader = reader.text()
    const member = reader.text()
    const members = reader.array(() => {
      const id = reader.text()
      reader.string() // static member
      return { member: id, metadata: Buffer.from(reader.bytes() ?? []) }
    })
    return { throttleMs, error, generation, leader, member, members }
  },
})

export interface SyncedGroup extends Response {
  readonly error: number
  readonly assignment: Buffer
}

/** `assignments`: from the leader, of all members. Answered when the leader has sent them. */
export const syncGroup = (
  { group, generation, member }: GroupMember,
  assignments: ReadonlyMap<string, Uint8Array>,
): KafkaRequest<SyncedGroup> => ({
  apiName: 'SyncGroup',
  apiKey: 14,
  apiVersion: 3,
  isFlexible: false,
  encode(writer) {
    writer.string(group).int32(generation).string(member).string(noStaticMember)
    writer.array([...assignments], ([of, assignment]) => writer.string(of).bytes(assignment))
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const error = reader.int16()
    return { throttleMs, error, assignment: Buffer.from(reader.bytes() ?? []) }
  },
})

export const leaveGroup = ({
  group,
  member,
}: Pick<GroupMember, 'group' | 'member'>): KafkaRequest<Outcome> => ({
  apiName: 'LeaveGroup',
  apiKey: 13,
  apiVersion: 3,
  isFlexible: false,
  encode(writer) {
    writer.string(group)
    writer.array([member], (id) => writer.string(id).string(noStaticMember))
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const error = reader.int16()
    const [of = error] = reader.array(() => {
      reader.string() // member
      reader.string() // static member
      return reader.int16()
    })
    return { throttleMs, error: error === 0 ? of : error }
  },
})
