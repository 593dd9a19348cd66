// What the types of the definitions under test say of streams and tables.
import type { AnyCodec, InOf, OutOf } from '../../sdk/codec.js'
import type { ProcessorDefinition } from '../../sdk/define.js'
import type { KeyCodec, KeyIn } from '../../sdk/key.js'
import type { ViewDefinition } from '../../sdk/view.js'
import type { Kebab } from './names.js'

/** By the function's name, in kebab-case or camelCase. */
export type Definitions = Readonly<Record<string, Definition>>

/** What a file of `functions/` may export. */
export type Definition = ProcessorDefinition | ViewDefinition

/** The functions by either name. */
export type FunctionName<D extends Definitions> = Named<keyof D & string>

/** Streams that some function reads or writes. */
export type StreamName<D extends Definitions> = NameIn<Inputs<D> | Outputs<D>>

/** What may be emitted to a stream: what any of its readers takes; if nobody reads it, what its writers do. */
export type Emitted<D extends Definitions, Stream extends string> = [
  CodecIn<Inputs<D>, Stream>,
] extends [never]
  ? InOf<CodecIn<Outputs<D>, Stream>>
  : InOf<CodecIn<Inputs<D>, Stream>>

/** What is read from a stream. */
export type Received<D extends Definitions, Stream extends string> = OutOf<
  CodecIn<Inputs<D> | Outputs<D>, Stream>
>

/** A key of what is emitted to a stream: as its readers have it; if nobody reads it, as its writers do. */
export type EmittedKey<D extends Definitions, Stream extends string> = [
  CodecIn<Inputs<D>, Stream>,
] extends [never]
  ? KeyIn<CodecIn<Outputs<D>, Stream>>
  : ReaderKey<D, Stream>

/** A key of what is read from a stream. */
export type ReceivedKey<D extends Definitions, Stream extends string> =
  | KeyIn<CodecIn<Outputs<D>, Stream>>
  | ReaderKey<D, Stream>

export type TableKey<D extends Definitions, Name extends string> = {
  [K in keyof D & string]: Name extends Named<K> ? OwnKey<D[K]> : never
}[keyof D & string]

/** Tables by either name of their function. */
export type TableName<D extends Definitions> = Named<
  { [K in keyof D]: [TableCodec<D[K]>] extends [never] ? never : K }[keyof D] & string
>

export type TableValue<D extends Definitions, Name extends string> = OutOf<
  { [K in keyof D & string]: Name extends Named<K> ? TableCodec<D[K]> : never }[keyof D & string]
>

type ReaderKey<D extends Definitions, Stream extends string> = {
  [K in keyof D]: D[K] extends ProcessorDefinition
    ? Stream extends keyof D[K]['inputs']
      ? OwnKey<D[K]>
      : never
    : never
}[keyof D]
/** Of a definition whose type does not tell, text. */
type OwnKey<Definition> = Definition extends { readonly keys?: KeyCodec<infer Key> }
  ? unknown extends Key
    ? string
    : Key
  : string
type Named<Name extends string> = Name extends string ? Name | Kebab<Name> : never
type Inputs<D extends Definitions> = {
  [K in keyof D]: D[K] extends ProcessorDefinition ? D[K]['inputs'] : never
}[keyof D]
type Outputs<D extends Definitions> = {
  [K in keyof D]: D[K] extends ProcessorDefinition ? NonNullable<D[K]['outputs']> : never
}[keyof D]
type TableCodec<Of extends Definition> =
  Of extends ViewDefinition<infer Stored> ? Stored : Extract<NonNullable<Of['table']>, AnyCodec>
type NameIn<Edges> = Edges extends unknown ? keyof Edges & string : never
type CodecIn<Edges, Stream> = Edges extends unknown
  ? Stream extends keyof Edges
    ? Extract<Edges[Stream], AnyCodec>
    : never
  : never
