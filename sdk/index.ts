// What a function file imports: `import { defineProcessor, json } from 'millrace'`.
export type { AnyCodec, BytesCodec, Codec, CodecKind, InOf, OutOf, TextCodec } from './codec.js'
export type {
  AnyContext,
  BaseContext,
  Codecs,
  Context,
  ContextLog,
  EmitOptions,
  JoinContext,
  LookupContext,
  LoopContext,
  OutputContext,
  TableContext,
} from './context.js'
export {
  type Definition,
  defineProcessor,
  type Handler,
  type Middleware,
  type Migration,
  type Next,
  type ProcessorDefinition,
  type Retry,
  type Tombstones,
  type Visitor,
} from './define.js'
export { type Issue, json, ValidationError } from './json.js'
export { type KeyCodec, type KeyedCodec, type KeyIn, keyed } from './key.js'
export { type KeyOf, type KeyParts, keyOf, type PartsKeyCodec } from './key-of.js'
export { bytes, int64, string } from './scalar.js'
export type { OpenStore, Store, StoreChange, StoreEntry, StorePlace, StoreRange } from './store.js'
export { JsonSyntaxError } from './syntax.js'
export { type Hasher, type TopicCodec, type TopicOptions, topic } from './topic.js'
export { type TableOut, type Tables, type TopicTable, topicTable } from './topic-table.js'
export {
  defineView,
  type Update,
  type UpdateContext,
  type View,
  type ViewDefinition,
} from './view.js'
