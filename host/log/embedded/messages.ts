// What the threads of a log and its log thread say to each other.
import type { MessagePort } from 'node:worker_threads'
import type { PlainError } from '../../errors.js'
import type { TopicKind, TopicSpec } from '../log.js'
import type { LogContents } from './contents.js'
import type { MaintenanceSettings } from './maintenance-settings.js'

/** A position by the topic's number. */
export interface NumberedPosition {
  readonly topic: number
  readonly partition: number
  readonly offset: number
}

export interface NamedPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface TopicRow {
  readonly name: string
  readonly number: number
  readonly id: string
  readonly kind: TopicKind
  /** Where each partition's ends are in shared memory. */
  readonly slots: readonly number[]
}

export interface WriterRef {
  readonly group: string
  readonly partition: number
  readonly fence: number
  /** Topics of this number and above were made after the writer was opened. */
  readonly horizon: number
}

export type Question =
  | { readonly kind: 'append'; readonly request: ArrayBuffer }
  | {
      readonly kind: 'commit'
      readonly request: ArrayBuffer
      readonly writer: WriterRef
      readonly positions: readonly NumberedPosition[]
    }
  | { readonly kind: 'open-writer'; readonly group: string; readonly partition: number }
  | { readonly kind: 'committed'; readonly group: string }
  | { readonly kind: 'topics'; readonly names: readonly string[] }
  | { readonly kind: 'contents' }
  | { readonly kind: 'ensure'; readonly specs: readonly TopicSpec[] }
  | {
      readonly kind: 'remove'
      readonly names: readonly string[]
      readonly groups: readonly string[]
      readonly ids?: readonly string[]
    }
  | {
      readonly kind: 'end-of-epoch'
      readonly topic: number
      readonly partition: number
      readonly epoch: number
    }
  | { readonly kind: 'client'; readonly port: MessagePort }

export type Answer =
  /** The offset of each section's first record. */
  | { readonly kind: 'bases'; readonly bases: readonly number[] }
  | { readonly kind: 'fenced' }
  | {
      readonly kind: 'writer'
      readonly fence: number
      readonly horizon: number
      readonly positions: readonly NamedPosition[]
    }
  | { readonly kind: 'positions'; readonly positions: readonly NamedPosition[] }
  | { readonly kind: 'topics'; readonly topics: readonly TopicRow[] }
  | { readonly kind: 'contents'; readonly contents: LogContents }
  | { readonly kind: 'epoch'; readonly leaderEpoch: number; readonly end: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'error'; readonly error: PlainError }

export type Asked = Question & { readonly id: number }
export type Answered = Answer & { readonly id: number }

/** All answers that one write has made possible. */
export type FromThread = readonly Answered[]

export interface ThreadData {
  /** Of the main thread as a client. */
  readonly port: MessagePort
  readonly path: string
  readonly memory: SharedArrayBuffer
  readonly sync: boolean
  /** Null: nothing expires, and nothing is compacted. */
  readonly maintenance: MaintenanceSettings | null
  readonly minFreeBytes: number
}

/** Between the main thread, as the one that started it, and the log thread. */
export type Control =
  /** Its first message: the main thread has its handle. */
  { readonly kind: 'open' } | { readonly kind: 'close' }
export type Report =
  | { readonly kind: 'ready'; readonly leaderEpoch: number }
  | { readonly kind: 'failed'; readonly error: PlainError }
  /** Something is wrong that does not keep the log from going on. */
  | { readonly kind: 'warned'; readonly error: PlainError }
  /** Null: there is room again. */
  | { readonly kind: 'disk'; readonly problem: PlainError | null }
