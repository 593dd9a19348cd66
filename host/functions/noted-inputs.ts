// What is noted on disk of a function without a table: the ids of the topics it reads, by which one that was made anew is known.
import { readFileSync } from 'node:fs'
import { isObject } from '../object.js'
import type { InputNotes, NotedInput } from '../processor/input-notes.js'
import { writeWholeSync } from '../whole-file.js'

/** `kind`: of the log. In another one topics have other ids, and what was moved there is the same. */
export class NotedInputs implements InputNotes {
  readonly #file: string
  readonly #kind: string
  readonly #partitions: Map<number, readonly NotedInput[]>

  constructor(file: string, kind: string) {
    this.#file = file
    this.#kind = kind
    this.#partitions = new Map(read(file, kind))
  }

  get(partition: number): readonly NotedInput[] | undefined {
    return this.#partitions.get(partition)
  }

  set(partition: number, inputs: readonly NotedInput[]): void {
    if (JSON.stringify(this.#partitions.get(partition)) === JSON.stringify(inputs)) return
    this.#partitions.set(partition, inputs)
    const partitions = Object.fromEntries(this.#partitions)
    try {
      writeWholeSync(this.#file, JSON.stringify({ log: this.#kind, partitions }))
    } catch {
      // A disk that is full: what is made anew before the next note is not noticed.
    }
  }
}

function read(file: string, kind: string): [partition: number, inputs: NotedInput[]][] {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!isObject(found) || found.log !== kind || !isObject(found.partitions)) return []
    return Object.entries(found.partitions).map(([partition, inputs]) => [
      Number(partition),
      Array.isArray(inputs) ? inputs.flatMap(asInput) : [],
    ])
  } catch {
    return []
  }
}

function asInput(input: unknown): NotedInput[] {
  if (!isObject(input)) return []
  const { topic, topicId } = input
  return typeof topic === 'string' && typeof topicId === 'string' ? [{ topic, topicId }] : []
}
