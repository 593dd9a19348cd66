// One version of a function, ready to run: its handlers and codecs bound to topics and partition counts.
import type { Codec, CodecKind } from '../../sdk/codec.js'
import { isKeyCodec, type KeyCodec } from '../../sdk/key.js'
import type { Hasher } from '../../sdk/topic.js'
import { HostError } from '../errors.js'
import type { Attempt } from './context.js'
import type { CopiedTable } from './copies.js'
import { type DefaultHeaders, defaultHeaders, type GivenHeaders } from './headers.js'
import { type Middleware, wrapped } from './middleware.js'
import { type TableDefinition, tableCodec } from './migration.js'
import type { RecordFailure } from './runner.js'
import { type ValueCodec, valueCodec } from './value.js'

/** The part of a definition that the task runs; its shape was checked in the probe. */
export interface RunnableDefinition {
  readonly keys?: KeyCodec<unknown>
  readonly inputs: Readonly<Record<string, Codec<unknown>>>
  readonly outputs?: Readonly<Record<string, Codec<unknown>>>
  readonly table?: TableDefinition['table']
  readonly migrate?: TableDefinition['migrate']
  readonly loop?: Codec<unknown>
  readonly joins?: Readonly<Record<string, Codec<unknown> | TableRef>>
  readonly lookups?: Readonly<Record<string, Codec<unknown> | TableRef>>
  readonly on: Readonly<Record<string, Handler>>
  readonly onLoop?: Handler
  readonly visitors?: Readonly<Record<string, Handler>>
  readonly wrap?: Middleware | readonly Middleware[]
  readonly headers?: GivenHeaders
}

/** What `topicTable` makes. */
export interface TableRef {
  readonly topic: string
  readonly codec: Codec<unknown>
}

export type Handler = (ctx: Attempt, value: unknown) => unknown

/** Where the function's edges lie in the log; plain data, the same for every version with the same edges. */
export interface Edges {
  readonly function: string
  readonly group: string
  readonly partitions: number
  /** By which keys are placed in inputs, table and loop. */
  readonly hasher: Hasher
  /** In declared order, the loop last. */
  readonly inputs: readonly { readonly stream: string; readonly topic: string }[]
  readonly outputs: readonly {
    readonly stream: string
    readonly topic: string
    readonly partitions: number
    readonly hasher: Hasher
  }[]
  readonly table: { readonly topic: string } | null
  readonly loop: { readonly topic: string } | null
  /** Tables of others, by their names in the definition. */
  readonly joins: readonly TableEdge[]
  readonly lookups: readonly TableEdge[]
}

export interface TableEdge {
  readonly table: string
  readonly topic: string
  readonly hasher: Hasher
}

export interface RunOptions {
  readonly onError: 'halt' | 'skip'
  readonly retry: { readonly attempts: number; readonly backoffMs: number }
  readonly onDataLoss: 'halt' | 'continue'
  readonly tombstones: 'ignore' | 'process' | 'decode'
  /** Records of different keys of a partition that may be handled at once. */
  readonly concurrency: number
  readonly delivery: 'exactly-once' | 'at-least-once'
}

export interface Source {
  readonly stream: string
  readonly topic: string
  readonly codec: ValueCodec
  readonly handler: Handler
}

export interface Target {
  readonly topic: string
  readonly partitions: number
  readonly hasher: Hasher
  readonly codec: ValueCodec
  /** Absent: they are text. */
  readonly keys?: KeyCodec<unknown> | undefined
}

/** A table of others, as handlers read it. */
export interface Copied extends CopiedTable {
  readonly codec: ValueCodec
  /** Absent: they are text. */
  readonly keys?: KeyCodec<unknown> | undefined
}

export interface Program {
  readonly kind: 'processor'
  readonly version: string
  readonly edges: Edges
  readonly options: RunOptions
  /** Of inputs, table and loop; absent: they are text. */
  readonly keys?: KeyCodec<unknown> | undefined
  /** By index as in `edges.inputs`. */
  readonly sources: readonly Source[]
  readonly targets: ReadonlyMap<string, Target>
  readonly table: ValueCodec | null
  readonly loop: Target | null
  readonly visitors: ReadonlyMap<string, Handler>
  /** Of what is emitted and looped back. */
  readonly headers: DefaultHeaders
  readonly joins: ReadonlyMap<string, Copied>
  readonly lookups: ReadonlyMap<string, Copied>
  /** Told of a record's first failed attempt, unless it was its last. */
  readonly retrying?: (failure: RecordFailure, pauseMs: number) => void
}

type MarkedCodec = Codec<unknown> & { readonly kind?: CodecKind }

/** `definition` is what a bundle exports: user code, so that a getter in it may throw. */
export function createProgram(
  definition: RunnableDefinition,
  edges: Edges,
  options: RunOptions,
  version: string,
  retrying?: Program['retrying'],
): Program {
  const need = <T>(found: T | undefined | null, what: string): T => {
    if (found !== undefined && found !== null) return found
    throw new HostError('BAD_DEFINITION', `${edges.function}: ${what} is missing`, {
      function: edges.function,
    })
  }
  const values = (codec: MarkedCodec | undefined, what: string) => valueCodec(need(codec, what))
  const handler = (given: Handler | undefined, what: string) =>
    wrapped(need(given, what), definition.wrap)

  const sources = edges.inputs.map(({ stream, topic }): Source => {
    const isLoop = topic === edges.loop?.topic
    return isLoop
      ? {
          stream,
          topic,
          codec: values(definition.loop, 'loop'),
          handler: handler(definition.onLoop, 'onLoop'),
        }
      : {
          stream,
          topic,
          codec: values(definition.inputs[stream], `inputs.${stream}`),
          handler: handler(definition.on[stream], `on.${stream}`),
        }
  })
  const targets = edges.outputs.map(({ stream, ...of }): [string, Target] => [
    stream,
    {
      ...of,
      codec: values(definition.outputs?.[stream], `outputs.${stream}`),
      keys: keysOf(definition.outputs?.[stream]),
    },
  ])
  const copied = (
    kind: Copied['kind'],
    of: readonly TableEdge[],
    tables: RunnableDefinition['joins'],
  ): ReadonlyMap<string, Copied> =>
    new Map(
      of.map(({ table, topic, hasher }) => {
        const what = `${kind}s.${table}`
        const found = need(tables?.[table], what)
        const given = 'codec' in found ? found.codec : found
        return [
          table,
          { kind, table, topic, hasher, codec: values(given, what), keys: keysOf(given) },
        ]
      }),
    )
  return {
    kind: 'processor',
    version,
    edges,
    options,
    keys: definition.keys,
    sources,
    targets: new Map(targets),
    table: edges.table === null ? null : tableOf(definition, need(definition.table, 'table')),
    loop:
      edges.loop === null
        ? null
        : {
            topic: edges.loop.topic,
            partitions: edges.partitions,
            hasher: edges.hasher,
            codec: values(definition.loop, 'loop'),
            keys: definition.keys,
          },
    headers: defaultHeaders(definition.headers),
    visitors: new Map(
      Object.entries(definition.visitors ?? {}).map(([name, visitor]) => [
        name,
        handler(visitor, `visitors.${name}`),
      ]),
    ),
    joins: copied('join', edges.joins, definition.joins),
    lookups: copied('lookup', edges.lookups, definition.lookups),
    ...(retrying === undefined ? {} : { retrying }),
  }
}

const keysOf = (codec: Codec<unknown> | undefined): KeyCodec<unknown> | undefined =>
  codec !== undefined && 'keys' in codec && isKeyCodec(codec.keys) ? codec.keys : undefined

function tableOf({ migrate }: RunnableDefinition, table: TableDefinition['table']): ValueCodec {
  return tableCodec(migrate === undefined ? { table } : { table, migrate })
}
