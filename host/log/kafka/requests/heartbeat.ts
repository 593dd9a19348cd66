// Heartbeat: a member of a group is still there; the answer tells whether the group still has it.
import type { KafkaRequest } from '../request.js'
import type { GroupMember, Outcome } from './transaction.js'

/**
 * To the group's coordinator. ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID: it is no member any more; REBALANCE_IN_PROGRESS: it is, and
 * has to join again.
 */
export const heartbeat = ({ group, generation, member }: GroupMember): KafkaRequest<Outcome> => ({
  apiName: 'Heartbeat',
  apiKey: 12,
  apiVersion: 3,
  isFlexible: false,
  encode(writer) {
    const noStaticMember = null
    writer.string(group).int32(generation).string(member).string(noStaticMember)
  },
  decode: (reader) => ({ throttleMs: reader.int32(), error: reader.int16() }),
})
