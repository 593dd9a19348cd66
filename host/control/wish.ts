// What a person asks of a function on all instances, as it lies in the control topic: the newest of each function and kind counts.
import type { OwnNames } from '../functions/names.js'
import { isObject } from '../object.js'

/** As no stream may be named by a function: the host's own. */
export const controlTopic = (namespace: string): string => `${namespace}millrace-control`

interface Said {
  readonly function: string
  /** Of the asking: what is said of it later has the same. */
  readonly id: string
  /** ISO 8601. Of two resets of a function the later has the later one, whatever the clocks show. */
  readonly at: string
  /** The instance that was asked. */
  readonly by: string
}

/** `resume` also has one go on that has halted. */
export interface PauseWish extends Said {
  readonly kind: 'pause'
  readonly wish: 'pause' | 'resume'
}

export interface DoomedTopic {
  readonly name: string
  /** One of this name and another id was made since. */
  readonly id: string
}

/**
 * `stop`: every instance stops it, and whoever sees that the group is empty deletes group and topics. `go`: that is done, or was given
 * up (`failure`), and every instance starts it.
 */
export interface ResetWish extends Said {
  readonly kind: 'reset'
  readonly phase: 'stop' | 'go'
  readonly names: OwnNames
  readonly topics: readonly DoomedTopic[]
  readonly failure?: { readonly code: string; readonly message: string }
}

export type Wish = PauseWish | ResetWish

/** Asks for nothing: whoever reads its own has read all that was said before. It has a key of its own, and so takes the place of no wish. */
export interface Mark extends Said {
  readonly kind: 'mark'
}

export type Word = Wish | Mark

export const keyOf = ({ kind, function: name }: Pick<Word, 'kind' | 'function'>): string =>
  `${kind} ${name}`

/** The two phases of a reset are said one after the other. */
export const sayingOf = (word: Word): string =>
  word.kind === 'reset' ? `${word.id} ${word.phase}` : word.id

/** Undefined: it is none, or of a version of the host that knows more than this one. */
export function wordOf(text: string): Word | undefined {
  const found = parsed(text)
  if (!isObject(found)) return undefined
  const { function: name, id, at, by } = found
  if (!isText(name) || !isText(id) || !isTime(at) || !isText(by)) return undefined
  const said = { function: name, id, at, by }
  if (found.kind === 'mark') return { ...said, kind: 'mark' }
  if (found.kind === 'pause' && (found.wish === 'pause' || found.wish === 'resume')) {
    return { ...said, kind: 'pause', wish: found.wish }
  }
  const { kind, phase, names, topics, failure } = found
  if (kind !== 'reset' || (phase !== 'stop' && phase !== 'go')) return undefined
  if (!isNames(names) || !Array.isArray(topics) || !topics.every(isTopic)) return undefined
  const more = isFailure(failure) ? { failure } : {}
  return { ...said, kind, phase, names, topics, ...more }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

const isTime = (value: unknown): value is string =>
  isText(value) && Number.isFinite(Date.parse(value))

const isNames = (value: unknown): value is OwnNames =>
  isObject(value) && isText(value.group) && isText(value.table) && isText(value.loop)

const isTopic = (value: unknown): value is DoomedTopic =>
  isObject(value) && isText(value.name) && isText(value.id)

const isFailure = (value: unknown): value is { code: string; message: string } =>
  isObject(value) && isText(value.code) && isText(value.message)
