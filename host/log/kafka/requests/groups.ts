// ListGroups and DeleteGroups: which groups there are, and their end.
import type { KafkaRequest, Response } from '../request.js'

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
