// What the main thread and a function's worker say to each other; packed batches never pass here.
import type { MessagePort } from 'node:worker_threads'
import type { PlainError } from '../errors.js'
import type { LogDescription } from '../log/log.js'
import type { StandbyState } from '../processor/following.js'
import type { Edges, RunOptions } from '../processor/program.js'
import type { FlushLimits } from '../processor/task.js'
import type { VisitEnd, VisitProgress, VisitReport } from '../processor/visiting.js'
import type { Bundle } from './description.js'
import type { StoreStart } from './store-kind.js'

/** All that a thread needs to load one version. */
export interface Version {
  readonly bundle: Pick<Bundle, 'name' | 'file' | 'version' | 'code'>
  readonly edges: Edges
  readonly options: RunOptions
}

export interface WorkerSettings {
  readonly flush: FlushLimits
  readonly cacheBytes: number
  readonly maxRecordBytes: number
  readonly attemptGraceMs: number
  readonly tombstoneRetentionMs: number
  readonly cleanupDelayMs: number
}

/** The worker's `workerData`. Of what it is to open it says nothing: `assign` tells that when it listens. */
export interface WorkerStart extends Version {
  readonly log: LogDescription
  /** Null for a function that keeps nothing. */
  readonly store: StoreStart | null
  /** Over which reads of its table are asked for; absent: the main thread reads it by itself. */
  readonly view?: MessagePort
  /** The file in which a stateless function notes which topics it has read, absolute. */
  readonly notesPath: string
  readonly progress: SharedArrayBuffer
  /** Its tasks are opened and held. */
  readonly isPaused: boolean
  readonly settings: WorkerSettings
}

export type ToWorker = { readonly id: number } & (
  | { readonly kind: 'swap'; readonly version: Version }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'drain' }
  /** Answered as soon as anything is: its code is loaded. */
  | { readonly kind: 'ready' }
  /** The partitions of its group are shared out anew: nothing is handled, opened or written to the log until `assign`. */
  | { readonly kind: 'revoke'; readonly isLast: boolean }
  /** After `revoke`, or when it listens. `kept`: those of which its tasks go on. `standbys`: of others, whose tables are copied here. */
  | {
      readonly kind: 'assign'
      readonly partitions: readonly number[]
      readonly kept: readonly number[]
      readonly standbys: readonly number[]
    }
  | {
      readonly kind: 'visit'
      readonly visitor: string
      /** JSON. */
      readonly argument: string | undefined
      readonly isCounted: boolean
      readonly partitions?: readonly number[]
    }
  | { readonly kind: 'endVisit'; readonly why: VisitEnd }
  /** As it was told: the number is that of `wiping`. */
  | { readonly kind: 'heard' }
  /** Of a view. */
  | { readonly kind: 'evict'; readonly partition: number; readonly key: Uint8Array }
)

/** Where something happened, as far as it is known. */
export interface RecordPlace {
  readonly version: string
  readonly stream?: string
  readonly partition: number
  readonly offset?: number
  readonly key?: string
  readonly attempts?: number
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type FromWorker =
  | {
      readonly kind: 'reply'
      readonly id: number
      readonly error?: PlainError
      /** Of a visit. */
      readonly report?: VisitReport | undefined
    }
  /** It has started, and hears what it is told. Nothing is open. */
  | { readonly kind: 'listening' }
  | { readonly kind: 'visiting'; readonly progress: VisitProgress }
  | { readonly kind: 'recovering' | 'running' | 'fenced'; readonly partition: number }
  /** What is stored of a partition is wiped as soon as it is `heard`. */
  | { readonly kind: 'wiping'; readonly id: number; readonly partition: number }
  | { readonly kind: 'standby'; readonly partition: number; readonly state: StandbyState }
  /** Copies of its own table, from the log; false: they have caught up. */
  | { readonly kind: 'cutOff'; readonly isCutOff: boolean }
  /** A partition's table is brought up: the offset behind what is stored, and the end. */
  | {
      readonly kind: 'progressed'
      readonly partition: number
      readonly next: number
      readonly end: number
    }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'halted' | 'skipped'; readonly error: PlainError; readonly place: RecordPlace }
  /** Copies of others' tables that are not ready, in words. */
  | { readonly kind: 'waiting'; readonly whatFor: readonly string[] }
  /** The first attempt at a record has failed, and was not its last. */
  | {
      readonly kind: 'retrying'
      readonly error: PlainError
      readonly place: RecordPlace
      readonly of: number
      readonly pauseMs: number
    }
  /** Of a view: its table's topic has other partitions than `edges` say. */
  | { readonly kind: 'outdated'; readonly error: PlainError }
  /** A partition's store keeps refusing: main has to close and open it. */
  | { readonly kind: 'detached'; readonly partition: number; readonly error: PlainError }
  /** The bundle did not load, or the log or store did not open: the worker ends after it. */
  | { readonly kind: 'unstartable'; readonly error: PlainError }
  | {
      readonly kind: 'log'
      readonly level: LogLevel
      readonly message: string
      /** JSON. */
      readonly fields: string
    }
