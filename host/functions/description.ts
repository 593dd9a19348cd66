// What a function is, as plain data: read from its definition in the probe, used wherever no user code may run.
import type { CodecKind } from '../../sdk/codec.js'
import type { KeyParts } from '../../sdk/key-of.js'
import type { Hasher } from '../../sdk/topic.js'
import type { RunOptions } from '../processor/program.js'
import type { StoreKind } from './store-kind.js'

export interface EdgeDescription {
  /** The stream's name in the function file; without the namespace. */
  readonly stream: string
  readonly topic: string
  /** By which its keys are placed. */
  readonly hasher: Hasher
  readonly codec: CodecKind
  /** A table of others that was named by its topic, and not by its function. */
  readonly isByTopic?: true
}

/** Where its table is copied, besides at who has a partition of it. */
export interface Replicas {
  /** How many others keep a copy of each partition, to take it over. */
  readonly standby: number
  /** All of it, and of the tables that it reads, is copied before it takes any partition. */
  readonly recoverAhead: boolean
  /** `replicate`: all of it is copied at each instance, and read there. */
  readonly views: 'routing' | 'replicate'
}

export const noReplicas: Replicas = { standby: 0, recoverAhead: false, views: 'routing' }

export interface FunctionDescription {
  /** `view`: its table is a copy of one that others write, whose topic is its only input. */
  readonly kind: 'processor' | 'view'
  readonly name: string
  /** Its own for each revision; also the folder of the table's store. A view's is that folder alone: it joins no group. */
  readonly group: string
  /** Of inputs, table and loop. */
  readonly hasher: Hasher
  /** Of inputs, table and loop: their parts, if they are the SDK's own; null: they are text. */
  readonly keys: KeyParts | 'custom' | null
  readonly inputs: readonly EdgeDescription[]
  readonly outputs: readonly EdgeDescription[]
  /** `stream` is the table's name, which is the function's. With `migrate` the codec is `custom`: only user code reads all values. */
  readonly table: EdgeDescription | null
  readonly loop: EdgeDescription | null
  /** In which it keeps its table, and its copies of others'. */
  readonly store: StoreKind
  readonly visitors: readonly string[]
  /** `stream` is the name of the table, whose topic others write. */
  readonly joins: readonly EdgeDescription[]
  readonly lookups: readonly EdgeDescription[]
  readonly replicas: Replicas
  /** Defaults filled in. */
  readonly options: RunOptions
}

/** The consumer group; null: it joins none. */
export const groupOf = ({ kind, group }: FunctionDescription): string | null =>
  kind === 'view' ? null : group

/**
 * What is stored is found again by every version that has the same. A processor's table is its topic, wherever a copy of that is kept;
 * what a view has made of a topic lies in its store alone. Undefined: there is no table.
 */
export function tableIdOf({
  kind,
  group,
  store,
  table,
}: Pick<FunctionDescription, 'kind' | 'group' | 'store' | 'table'>): string | undefined {
  if (table === null) return undefined
  return JSON.stringify([kind, table.topic, ...(kind === 'view' ? [group, store] : [])])
}

/** A function's file, bundled: everything that a thread needs to load it. */
export interface Bundle {
  readonly name: string
  /** The user's file, absolute. */
  readonly file: string
  /** The first 12 hex digits of a hash of the code. */
  readonly version: string
  /** CommonJS. */
  readonly code: string
  /** The source map as JSON; stays in the main thread, which alone maps stacks. */
  readonly map: string
  /** All files that went into it, absolute; a change of any is a change of the function. */
  readonly inputs: readonly string[]
}
