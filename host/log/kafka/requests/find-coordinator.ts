// FindCoordinator: which broker keeps a group's positions, or a transactional id's transactions.
import type { KafkaRequest, Response } from '../request.js'

const keyTypes = { group: 0, transaction: 1 } as const

export interface Coordinator extends Response {
  /** COORDINATOR_NOT_AVAILABLE: ask again, it is being chosen. */
  readonly error: number
  readonly message: string | null
  /** The id of the broker; −1 with an error. */
  readonly broker: number
}

/** To any broker. `key`: the name of the group, or the transactional id. */
export const findCoordinator = (
  type: keyof typeof keyTypes,
  key: string,
): KafkaRequest<Coordinator> => ({
  apiName: 'FindCoordinator',
  apiKey: 10,
  apiVersion: 3,
  isFlexible: true,
  encode(writer) {
    writer.string(key).int8(keyTypes[type]).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const error = reader.int16()
    const message = reader.string()
    const broker = reader.int32()
    reader.string() // host
    reader.int32() // port
    reader.tags()
    return { throttleMs, error, message, broker }
  },
})
