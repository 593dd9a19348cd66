// What a move has noted on the target, in a topic of its own: what it began with, how far it has come. It outlasts the group's positions.
import { HostError } from '../errors.js'
import type { Log, LogWriter, RecordToAppend, TopicSpec } from '../log/log.js'
import { isObject } from '../object.js'
import type { Patience } from './patience.js'
import { type ReadingOptions, readStretches } from './stretches.js'

/** A topic of the source, as it was when it was begun with. */
export interface BegunTopic {
  readonly name: string
  /** In the source. */
  readonly id: string
  /** Of each partition in the source. */
  readonly oldest: readonly number[]
  /** By the move: it was not there before. */
  readonly isMade: boolean
}

export interface StreamRetention {
  readonly name: string
  /** −1: for ever. */
  readonly retentionMs: number
}

/** Of the streams that were made to be kept for ever. */
export interface Retentions {
  /** That are to get their time. */
  readonly kept: readonly StreamRetention[]
  /** That have unread records older than that. */
  readonly unread: readonly StreamRetention[]
}

interface At {
  /** ISO 8601. */
  readonly at: string
  /** Of the source, as `Inventory` has it. */
  readonly fingerprint: string
}

/** Everything is there, positions too; from here on it may expire there. */
export interface VerifiedState extends At, Retentions {
  readonly state: 'verified'
}

export type MoveState = (At & { readonly state: 'begun' | 'done' }) | VerifiedState

export interface MoveNotes {
  /** Undefined: no move was begun. */
  readonly move: MoveState | undefined
  readonly topics: ReadonlyMap<string, BegunTopic>
}

export const journalTopic = (namespace: string): string => `${namespace}millrace-move`

/** Of the positions in the source up to which each partition is copied. `~` is in no name of a function's group. */
export const moveGroup = (namespace: string): string => `${namespace}millrace-move~`

const journalGroup = (namespace: string): string => `${moveGroup(namespace)}journal`

const stateKey = 'move'

/** What is noted on the target; nothing is made there. */
export async function readNotes(options: ReadingOptions, namespace: string): Promise<MoveNotes> {
  const name = journalTopic(namespace)
  const info = (await options.patience.ask(() => options.log.describe([name]))).get(name)
  const [at] = info?.partitions ?? []
  let move: MoveState | undefined
  const topics = new Map<string, BegunTopic>()
  if (info === undefined || at === undefined) return { move, topics }
  if (info.kind !== 'table') {
    throw new HostError(
      'MOVE_CONFLICT',
      `the topic ${name} is a stream of somebody's own, and a move needs it for its notes: move under another namespace`,
      { stream: name },
    )
  }
  const stretch = { topic: name, partition: at.partition, from: at.oldest, to: at.stableEnd }
  await readStretches(options, [stretch], (batches) => {
    for (const record of batches.flatMap(({ records }) => records)) {
      const note = parse(record.valueText())
      if (record.keyText() === stateKey) move = asState(note) ?? move
      else {
        const topic = asTopic(note)
        if (topic !== undefined) topics.set(topic.name, topic)
      }
    }
    return true
  })
  return { move, topics }
}

/** Why a host may not run on the log, if a move to it is under way. */
export function unfinishedMove({ move }: MoveNotes, namespace: string): HostError | undefined {
  if (move === undefined || move.state === 'done') return undefined
  return new HostError(
    'MOVE_UNFINISHED',
    `what is on this cluster is a part of what is moved there since ${move.at}: run millrace move again, to its end, and start the host then; ` +
      `or give the move up by deleting the topic ${journalTopic(namespace)} and all that was made`,
  )
}

/** Writes notes. One at a time may: who opens it fences the one before. */
export class Journal implements AsyncDisposable {
  readonly #log: Log
  readonly #namespace: string
  readonly #patience: Patience
  #writer: LogWriter

  private constructor(log: Log, namespace: string, patience: Patience, writer: LogWriter) {
    this.#log = log
    this.#namespace = namespace
    this.#patience = patience
    this.#writer = writer
  }

  /** Made if it is not there; and nobody else has noted anything since `seen` was read. */
  static async open(options: ReadingOptions, namespace: string, seen: MoveNotes): Promise<Journal> {
    const { log, patience } = options
    const spec: TopicSpec = { name: journalTopic(namespace), kind: 'table', partitions: 1 }
    await patience.ask(() => log.ensure([spec]))
    const writer = await patience.ask(() => log.openWriter(journalGroup(namespace), 0))
    const now = await readNotes(options, namespace)
    if (fingerprintOf(now) !== fingerprintOf(seen)) {
      await writer[Symbol.asyncDispose]()
      throw otherMove()
    }
    return new Journal(log, namespace, patience, writer)
  }

  /** Rejects with FENCED when another move has begun since. */
  async check(): Promise<void> {
    await this.write({})
  }

  /** Together or not at all. */
  async write(notes: {
    readonly move?: MoveState
    readonly topics?: readonly BegunTopic[]
  }): Promise<void> {
    const { move, topics = [] } = notes
    const entries: [key: string, value: unknown][] = topics.map((topic) => [
      `topic ${topic.name}`,
      topic,
    ])
    if (move !== undefined) entries.push([stateKey, move])
    const records = entries.map(
      ([key, value]): RecordToAppend => ({
        topic: journalTopic(this.#namespace),
        partition: 0,
        key: Buffer.from(key),
        value: Buffer.from(JSON.stringify(value)),
        timestamp: Date.now(),
      }),
    )
    // Noted twice it says the same.
    while (
      (await this.#patience.commit(this.#writer, { records, positions: [] }, otherMove)) ===
      'unknown'
    ) {
      this.#writer = await this.#patience.ask(() =>
        this.#log.openWriter(journalGroup(this.#namespace), 0),
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

export const otherMove = (): HostError =>
  new HostError(
    'FENCED',
    'another move to the same cluster and namespace was begun meanwhile, and goes on instead of this one: let one run at a time',
  )

const fingerprintOf = ({ move, topics }: MoveNotes): string =>
  JSON.stringify([move, [...topics.values()]])

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function asState(note: unknown): MoveState | undefined {
  if (!isObject(note)) return undefined
  const { state, at, fingerprint } = note
  if (typeof at !== 'string' || typeof fingerprint !== 'string') return undefined
  if (state === 'begun' || state === 'done') return { state, at, fingerprint }
  if (state !== 'verified') return undefined
  return { state, at, fingerprint, kept: asTimes(note.kept), unread: asTimes(note.unread) }
}

function asTimes(list: unknown): StreamRetention[] {
  if (!Array.isArray(list)) return []
  return list.filter(
    (one: unknown): one is StreamRetention =>
      isObject(one) && typeof one.name === 'string' && typeof one.retentionMs === 'number',
  )
}

function asTopic(note: unknown): BegunTopic | undefined {
  if (!isObject(note)) return undefined
  const { name, id, oldest, isMade } = note
  if (typeof name !== 'string' || typeof id !== 'string' || typeof isMade !== 'boolean') {
    return undefined
  }
  if (!Array.isArray(oldest)) return undefined
  const offsets = oldest.filter((offset): offset is number => Number.isSafeInteger(offset))
  return { name, id, oldest: offsets, isMade }
}
