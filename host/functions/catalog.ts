// What HTTP may know of the functions: names, edges, codecs, states, positions; never user code.

import type { CodecKind } from '../../sdk/codec.js'
import type { Hasher } from '../../sdk/topic.js'
import type { HostError } from '../errors.js'
import type { GroupPeer } from '../log/log.js'
import type { TableView } from '../tables/view.js'
import type { Bundle, FunctionDescription } from './description.js'

/** Names one codec of one version of a function, for the gate. */
export interface CodecRef {
  readonly function: string
  readonly version: string
  readonly edge:
    | { readonly kind: 'input' | 'output'; readonly stream: string }
    | { readonly kind: 'table' }
  readonly codec: CodecKind
}

export interface StreamEntry {
  readonly name: string
  readonly topic: string
  readonly partitions: number
  readonly hasher: Hasher
  /** Those of the functions that read it; if none reads it, of those that write it. A value has to suit one of them. */
  readonly codecs: readonly CodecRef[]
  /** What the keys of the functions that read it are, as in `FunctionDescription`. */
  readonly keys: readonly FunctionDescription['keys'][]
}

export interface TableEntry {
  readonly name: string
  readonly function: string
  readonly partitions: number
  readonly hasher: Hasher
  readonly codec: CodecRef
  readonly view: TableView
  /** False while the partition recovers, or is being wiped: what is stored locally may be old. */
  isServing(partition: number): boolean
  /** False: it may be another host's by now, which goes on with it. True also while it recovers. */
  isOwned(partition: number): boolean
  /** A copy is served of what another host has, or may have by now. */
  isReplica(partition: number): boolean
  /**
   * Others may have changed what is served: of a view, or of a partition that is copied here (without one: of any), which is cut off from
   * the log, or catches up after that.
   */
  isStale(partition?: number): boolean
}

export type FunctionState =
  | 'loading'
  | 'joining'
  | 'recovering'
  | 'running'
  | 'draining'
  | 'stopped'
  | 'paused'
  | 'halted'

/** It handles nothing yet: its partitions are not open. */
export const isBeginning = (state: FunctionState | undefined): boolean =>
  state === 'loading' || state === 'joining' || state === 'recovering'

/** The last failure as shown to people: stack of user frames only, source-mapped, with a code frame. */
export interface ShownError {
  readonly code: string
  readonly message: string
  /** The class of what user code has thrown. */
  readonly name?: string
  /** As `class: message`, the nearest first. */
  readonly causes?: readonly string[]
  readonly at: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly frame?: string
  readonly stack?: string
  readonly stream?: string
  readonly partition?: number
  readonly offset?: number
  readonly key?: string
}

export interface PartitionStatus {
  readonly partition: number
  /** `standby`: others write it, and its table is copied here. */
  readonly state: 'recovering' | 'running' | 'paused' | 'halted' | 'standby'
  readonly inputs: readonly InputStatus[]
  /** Null: it is not being recovered. A standby always has one: its end is that of the table's topic, as of now once it has reached it. */
  readonly recovery: RecoveryStatus | null
}

/** How far the table of a partition has been brought up. */
export interface RecoveryStatus {
  /** Of the table's topic: the offset behind what is stored; null: nothing was read yet. */
  readonly position: number | null
  readonly end: number | null
  /** Nothing has come for `limits.stalledMs`. */
  readonly stalled: boolean
}

export interface InputStatus {
  readonly stream: string
  /** What is stored. */
  readonly position: number
  /** Of the stream; null: not known, since the log does not answer. */
  readonly end: number | null
  /** What lies between. */
  readonly lag: number | null
}

export interface FunctionStatus {
  readonly name: string
  /** Null: not known, since none has loaded yet. */
  readonly kind: FunctionDescription['kind'] | null
  readonly file: string
  readonly state: FunctionState
  /** Of the bundle that runs; null: none has loaded yet. */
  readonly version: string | null
  readonly partitions: readonly PartitionStatus[]
  /**
   * Copies of joined and looked-up tables that are not at their end yet, in words: until then it handles nothing. Of a view also the
   * log, while it is cut off from it.
   */
  readonly waitingFor: readonly string[]
  /** Over the partitions that it has; null: not known, for one of them or since it has not got any yet. */
  readonly lag: number | null
  /** Over the last seconds. */
  readonly rates: { readonly recordsPerSecond: number }
  /** Records handled by this process since it started. */
  readonly records: number
  readonly swaps: number
  /** Of a save that did not load (the old version runs on) or of the record at which it halted. */
  readonly error: ShownError | null
  /** All that run it, this one included. Absent: there are no others. */
  readonly instances?: readonly InstanceStatus[]
}

/** What a function is at on one of several instances. */
export interface InstanceStatus {
  readonly instance: string
  /** Where it is reached; null: it does not say. */
  readonly address: string | null
  /** Null: it does not answer, or does not know the function. */
  readonly state: FunctionState | null
  /** Of one that does not answer, what it ran when its group was shared out last; null: not known. */
  readonly version: string | null
  /** Its group runs with other edges than its own, and gives it no partitions. */
  readonly refused: boolean
  /** Of one that does not answer, those that its group has given it. */
  readonly partitions: readonly {
    readonly partition: number
    readonly state: PartitionStatus['state'] | null
  }[]
  /** Of the function there, as `FunctionStatus` has it; of one that does not answer, why. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/** What a function is at, without what changes with every record. */
export interface FunctionCondition
  extends Pick<FunctionStatus, 'name' | 'kind' | 'state' | 'version' | 'waitingFor' | 'error'> {
  readonly partitions: readonly Pick<PartitionStatus, 'partition' | 'state'>[]
}

/** A stream or table, and where it lies in the log. */
export interface PlacedTopic {
  readonly name: string
  readonly partitions: number
  readonly topic: string
  readonly hasher: Hasher
}

export interface Topology {
  readonly functions: readonly {
    readonly name: string
    readonly kind: FunctionDescription['kind']
    /** Null: it joins none. */
    readonly group: string | null
    readonly state: FunctionState
    readonly inputs: readonly string[]
    readonly outputs: readonly string[]
    readonly table: string | null
    readonly loop: boolean
    readonly joins: readonly string[]
    readonly lookups: readonly string[]
  }[]
  readonly streams: readonly PlacedTopic[]
  readonly tables: readonly PlacedTopic[]
  /** `from` and `to` are `function:NAME`, `stream:NAME` or `table:NAME`. */
  readonly edges: readonly { readonly from: string; readonly to: string }[]
}

export interface Catalog {
  stream(name: string): StreamEntry | undefined
  table(name: string): TableEntry | undefined
  /** Asynchronous: the ends of the inputs are asked of the log, so that the lag is that of this moment. */
  functions(): Promise<readonly FunctionStatus[]>
  function(name: string): Promise<FunctionStatus | undefined>
  /** At once: the log is not asked. */
  condition(name: string): FunctionCondition | undefined
  /** Of the functions that are loaded, for walking from stream to table. */
  descriptions(): readonly FunctionDescription[]
  /** Why the log takes nothing for now, if so: every function waits for it. */
  problem(): HostError | undefined
  /** Names and states alone, at once. */
  states(): ReadonlyMap<string, FunctionState>
  topology(): Topology
  /** The bundle that runs, for the gate to load its codecs. */
  bundle(functionName: string): Bundle | undefined
  /** What the function has handled and stored: the next offset of that input's partition; 0: nothing yet, or the partition is not open here. */
  position(functionName: string, topic: string, partition: number): number
  /** False: another host may go on with the function's partition by now. */
  isOwned(functionName: string, partition: number): boolean
  /** Who has which of the function's partitions, this host included; another array after each assignment. Of a view: nobody. */
  members(functionName: string): readonly GroupPeer[]
  /**
   * Calls back at each change of any position of the function, or of its state, or of what functions there are. The function
   * returned takes it back, and has to be called: what waits is kept.
   */
  onChange(functionName: string, callback: () => void): () => void
  /** Of each partition: who has passed it has passed all that was acknowledged before the call. */
  ends(topic: string): Promise<readonly number[]>
}
