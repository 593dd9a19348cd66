// ListGroups, DescribeGroups and DeleteGroups: which groups there are, who is in them, and their end.
import type { KafkaRequest, Response } from '../request.js'
import type { Reader } from '../wire.js'

export interface ListedGroups extends Response {
  readonly error: number
  readonly groups: readonly string[]
}

/** To each broker: it tells of those that it coordinates, and that one may know of. */
export const listGroups = (): KafkaRequest<ListedGroups> => ({
  apiName: 'ListGroups',
  apiKey: 16,
  apiVersion: 3,
  isFlexible: true,
  encode(writer) {
    writer.tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const error = reader.int16()
    const groups = reader.array(() => {
      const group = reader.text()
      reader.string() // kind of protocol
      reader.tags()
      return group
    })
    reader.tags()
    return { throttleMs, error, groups }
  },
})

export interface DescribedGroup extends Response {
  readonly error: number
  /** None: nobody has joined it, or there is no such group. */
  readonly members: readonly GroupClient[]
}

export interface GroupClient {
  readonly member: string
  /** As it names itself. */
  readonly client: string
  /** The address by which it comes. */
  readonly address: string
}

/** To its coordinator. Those who are on their way in are members, too. */
export const describeGroup = (group: string): KafkaRequest<DescribedGroup> => ({
  apiName: 'DescribeGroups',
  apiKey: 15,
  apiVersion: 5,
  isFlexible: true,
  encode(writer) {
    writer
      .array([group], (name) => writer.string(name))
      .boolean(false)
      .tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const [described] = reader.array(() => {
      const error = reader.int16()
      for (let field = 0; field < 4; field++) reader.string() // group, state, type and name of protocol
      const members = reader.array(() => readClient(reader))
      reader.int32() // rights
      reader.tags()
      return { error, members }
    })
    reader.tags()
    return { throttleMs, ...(described ?? { error: 0, members: [] }) }
  },
})

function readClient(reader: Reader): GroupClient {
  const member = reader.text()
  reader.string() // static member
  const client = reader.text()
  const address = reader.text()
  reader.bytes() // what it claims
  reader.bytes() // what it has got
  reader.tags()
  return { member, client, address }
}

export interface DeletedGroup extends Response {
  readonly error: number
}

/** To its coordinator; with its positions. */
export const deleteGroup = (group: string): KafkaRequest<DeletedGroup> => ({
  apiName: 'DeleteGroups',
  apiKey: 42,
  apiVersion: 2,
  isFlexible: true,
  encode(writer) {
    writer.array([group], (name) => writer.string(name)).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const [error = 0] = reader.array(() => {
      reader.string() // group
      const error = reader.int16()
      reader.tags()
      return error
    })
    reader.tags()
    return { throttleMs, error }
  },
})
