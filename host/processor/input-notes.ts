// Which topics a function without a table has read: with a table, that is stored there.

export interface NotedInput {
  readonly topic: string
  readonly topicId: string
  /** Up to which it was read, if that is known. */
  readonly offset?: number
}

/** By partition: as they were when it was last opened here. */
export interface InputNotes {
  get(partition: number): readonly NotedInput[] | undefined
  set(partition: number, inputs: readonly NotedInput[]): void
}
