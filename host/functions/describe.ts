// The full check of a definition, every problem at once, and its description as plain data.
import type { AnyCodec, CodecKind } from '../../sdk/codec.js'
import type { ProcessorDefinition } from '../../sdk/define.js'
import { isKeyCodec } from '../../sdk/key.js'
import type { KeyParts } from '../../sdk/key-of.js'
import { HostError, toPlainError } from '../errors.js'
import { headerProblem } from '../log/limits.js'
import type { RunOptions } from '../processor/program.js'
import { isDefinition, isView } from './definition.js'
import { replicasOf } from './describe-replicas.js'
import { describeView } from './describe-view.js'
import type { EdgeDescription, FunctionDescription } from './description.js'
import { hint, inWords, listed, oneOf, type Report, unknownFields, whole } from './in-words.js'
import { oneTopicEach, type Placement, placementOf, refuseTopic, streamPlace } from './placement.js'
import { readTables } from './read-tables.js'
import type { StoreKind } from './store-kind.js'

/** `at` is a path into the definition, like `inputs.clicks`; empty for the definition itself. */
export interface DefinitionProblem {
  readonly at: string
  readonly message: string
}

type Fields = Readonly<Record<string, unknown>>

const fields = [
  'inputs',
  'keys',
  'table',
  'store',
  'migrate',
  'revision',
  'group',
  'tableTopic',
  'loopTopic',
  'hasher',
  'outputs',
  'headers',
  'loop',
  'joins',
  'lookups',
  'on',
  'onLoop',
  'visitors',
  'wrap',
  'onError',
  'retry',
  'onDataLoss',
  'tombstones',
  'concurrency',
  'delivery',
  'standby',
  'recoverAhead',
  'views',
] as const satisfies (keyof ProcessorDefinition)[]
const onErrors = ['halt', 'skip'] as const satisfies RunOptions['onError'][]
const onDataLosses = ['halt', 'continue'] as const satisfies RunOptions['onDataLoss'][]
const tombstones = ['ignore', 'process', 'decode'] as const satisfies RunOptions['tombstones'][]
const deliveries = ['exactly-once', 'at-least-once'] as const satisfies RunOptions['delivery'][]
const kinds: readonly CodecKind[] = ['json', 'schema', 'string', 'int64']

/** Throws BAD_DEFINITION; its details are `{ problems: DefinitionProblem[] }`. */
export function describeDefinition(
  definition: unknown,
  { name, namespace }: { readonly name: string; readonly namespace: string },
): FunctionDescription {
  const problems: DefinitionProblem[] = []
  const report: Report = (at, message) => void problems.push({ at, message })
  const describing = isView(definition) ? view : describe
  const description = isDefinition(definition)
    ? describing({ ...definition }, name, namespace, report)
    : undefined
  if (description === undefined) report('', notADefinition(definition))
  if (description !== undefined && problems.length === 0) return description
  const list = problems.map(({ at, message }) => (at === '' ? message : `${at}: ${message}`))
  throw new HostError('BAD_DEFINITION', `${name} cannot run: ${list.join('; ')}`, {
    function: name,
    details: { problems },
  })
}

function notADefinition(value: unknown): string {
  if (value === undefined)
    return 'the file has no default export: export default defineProcessor({ … })'
  return `the default export is ${inWords(value)}, which neither defineProcessor nor defineView made: export default defineProcessor({ … })`
}

function view(given: Fields, name: string, namespace: string, report: Report): FunctionDescription {
  const revision = revisionOf(given.revision, report)
  const store = storeOf(given.store, true, report)
  const kind = (at: string, codec: unknown) => kindOf(at, codec, report)
  return describeView(given, { name, namespace, revision, store, kindOf: kind, report })
}

function describe(
  given: Fields,
  name: string,
  namespace: string,
  report: Report,
): FunctionDescription {
  const revision = revisionOf(given.revision, report)
  const place = placementOf(given, { name, namespace }, revision, report)
  const { group, hasher } = place
  unknownFields('', given, fields, report)

  const keys = keysOf(given.keys, report)
  const inputs = edges('inputs', given.inputs ?? {}, place, report)
  ownKeys(given, report)
  const areInputsKnown = isPlain(given.inputs ?? {})
  if (inputs.length === 0 && areInputsKnown) {
    report('inputs', 'at least one stream is needed, such as inputs: { clicks: json() }')
  }
  const outputs = edges('outputs', given.outputs ?? {}, place, report)
  oneTopicEach(inputs, outputs, report)
  const stored = edge('table', given.table, { stream: name, topic: place.table, hasher }, report)
  const table = migratingTable(given.migrate, stored, report)
  const inLoop = { stream: `${name}-loop`, topic: place.loop, hasher }
  const loop = edge('loop', given.loop, inLoop, report)
  refuseTopic('table', given.table, 'tableTopic', report)
  refuseTopic('loop', given.loop, 'loopTopic', report)
  ownTopics([...inputs.map(at('inputs')), ...outputs.map(at('outputs'))], { table, loop }, report)
  const others = (where: 'joins' | 'lookups') => {
    const tables = given[where] ?? {}
    const kind = (at: string, codec: unknown) => kindOf(at, codec, report)
    if (isPlain(tables)) {
      return readTables(where, tables, { of: place, own: table?.topic, kindOf: kind, report })
    }
    report(where, `an object of codecs by table is needed, not ${inWords(tables)}`)
    return []
  }
  if (areInputsKnown) handlers(given, inputs, loop !== null, report)

  middleware(given.wrap, report)
  defaultHeaders(given.headers, report)
  const visitors = visitorsOf(given.visitors, table !== null, report)
  const [joins, lookups] = [others('joins'), others('lookups')]
  const keepsSomething = table !== null || joins.length + lookups.length > 0
  const store = storeOf(given.store, keepsSomething, report)

  return {
    kind: 'processor',
    name,
    group,
    hasher,
    keys,
    inputs,
    outputs,
    table,
    loop,
    store,
    visitors,
    joins,
    lookups,
    replicas: replicasOf(given, table !== null, report),
    options: {
      onError: oneOf('onError', given.onError, onErrors, report),
      retry: retryOf(given.retry, report),
      onDataLoss: oneOf('onDataLoss', given.onDataLoss, onDataLosses, report),
      tombstones: oneOf('tombstones', given.tombstones, tombstones, report),
      concurrency: whole('concurrency', given.concurrency ?? 1, 1, 1_024, report),
      delivery: oneOf('delivery', given.delivery, deliveries, report),
    },
  }
}

function edges(where: string, given: unknown, of: Placement, report: Report): EdgeDescription[] {
  if (!isPlain(given)) {
    report(where, `an object of codecs by stream is needed, not ${inWords(given)}`)
    return []
  }
  return Object.entries(given).map(([stream, codec]) => {
    const at = `${where}.${stream}`
    const place = streamPlace(at, stream, codec, of, report)
    streamName(at, stream, place.topic, report)
    return { stream, ...place, codec: kindOf(at, codec, report) }
  })
}

function edge(
  where: string,
  codec: unknown,
  place: Omit<EdgeDescription, 'codec'>,
  report: Report,
): EdgeDescription | null {
  if (codec === undefined) return null
  const { topic } = place
  if (topic.length > 249)
    report(where, `the topic ${topic} has ${topic.length} characters, 249 are allowed`)
  return { ...place, codec: kindOf(where, codec, report) }
}

function migratingTable(
  migrate: unknown,
  table: EdgeDescription | null,
  report: Report,
): EdgeDescription | null {
  if (migrate === undefined) return table
  if (table === null) report('migrate', 'there is no table whose values it could change: add table')
  if (table?.codec === 'bytes')
    report('migrate', 'the bytes codec takes whatever is stored: it would never be asked')
  if (!isPlain(migrate)) {
    report(
      'migrate',
      `an object like { from: json(), to: (stored) => value } is needed, not ${inWords(migrate)}`,
    )
    return table
  }
  unknownFields('migrate', migrate, ['from', 'to'], report)
  kindOf('migrate.from', migrate.from, report)
  callable('migrate.to', migrate.to, report)
  return table === null ? null : { ...table, codec: 'custom' }
}

function revisionOf(given: unknown, report: Report): string | undefined {
  if (given === undefined) return undefined
  const isWhole = typeof given === 'number' && Number.isSafeInteger(given) && given >= 0
  const isName = typeof given === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(given)
  if (isWhole || isName) return String(given)
  report(
    'revision',
    `a whole number from 0, or up to 64 small letters, digits and "-", is needed, not ${inWords(given)}`,
  )
  return undefined
}

function streamName(where: string, stream: string, topic: string, report: Report): void {
  if (!/^[A-Za-z0-9._-]{1,200}$/.test(stream) || /^\.{1,2}$/.test(stream)) {
    report(
      where,
      'a stream name has 1 to 200 letters, digits, ".", "_" or "-", and is neither "." nor ".."',
    )
  } else if (topic.length > 249) {
    report(where, `the topic ${topic} has ${topic.length} characters, 249 are allowed`)
  }
}

function kindOf(where: string, codec: unknown, report: Report): CodecKind {
  if (!isCodec(codec)) {
    const hint = typeof codec === 'function' ? '; is it json or json() that you mean' : ''
    report(
      where,
      `a codec is needed (json(), json(schema), string, int64, bytes, or an object with encode and decode), not ${inWords(codec)}${hint}`,
    )
    return 'custom'
  }
  return codecKind(codec)
}

/** A codec of the user's own that only calls itself `json` would break the short cuts. */
export function codecKind(codec: AnyCodec): CodecKind {
  const kind: unknown = Reflect.get(codec, 'kind')
  if (kind === 'bytes') return 'bytes'
  const isText = ['encodeText', 'decodeText'].every(
    (name) => typeof Reflect.get(codec, name) === 'function',
  )
  return (isText && kinds.find((known) => known === kind)) || 'custom'
}

function isCodec(value: unknown): value is AnyCodec {
  return (
    isObject(value) &&
    ['encode', 'decode'].every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

const at =
  (where: string) =>
  ({ stream, topic }: EdgeDescription) => ({ at: `${where}.${stream}`, topic })

function ownTopics(
  others: readonly { at: string; topic: string }[],
  own: Readonly<Record<'table' | 'loop', EdgeDescription | null>>,
  report: Report,
): void {
  for (const { at, topic } of others) {
    if (topic === own.table?.topic) {
      report(
        at,
        `${topic} is the function's own table: use ctx.get() and ctx.set(), or another stream`,
      )
    }
    if (topic === own.loop?.topic) {
      report(
        at,
        `${topic} is the function's own loop: use ctx.loopback() and onLoop, or another stream`,
      )
    }
  }
}

function handlers(
  given: Fields,
  inputs: readonly EdgeDescription[],
  hasLoop: boolean,
  report: Report,
): void {
  const streams = inputs.map(({ stream }) => stream)
  const on = given.on ?? {}
  if (isPlain(on)) {
    for (const stream of streams) {
      const handler = Object.hasOwn(on, stream) ? on[stream] : undefined
      if (handler === undefined)
        report(`on.${stream}`, 'the input has no handler: add a function of (ctx, value)')
      else callable(`on.${stream}`, handler, report)
    }
    for (const stream of Object.keys(on)) {
      if (streams.includes(stream)) continue
      report(
        `on.${stream}`,
        `no input has this name${hint(stream, streams)}; inputs are ${listed(streams)}`,
      )
    }
  } else {
    report('on', `an object of handlers by input is needed, not ${inWords(on)}`)
  }
  if (given.onLoop !== undefined) callable('onLoop', given.onLoop, report)
  if (hasLoop && given.onLoop === undefined)
    report('onLoop', 'a loop needs its handler, a function of (ctx, value)')
  if (!hasLoop && given.onLoop !== undefined)
    report('onLoop', 'there is no loop that it could handle: add loop: json()')
}

function keysOf(given: unknown, report: Report): FunctionDescription['keys'] {
  if (given === undefined) return null
  if (!isKeyCodec(given)) {
    report(
      'keys',
      `a key codec is needed (keyOf({ … }), or an object with encode and decode), not ${inWords(given)}`,
    )
    return null
  }
  // Noted by `keyOf`, of whichever copy of the SDK.
  const parts: KeyParts | undefined = Reflect.get(given, Symbol.for('millrace.keyParts'))
  return parts ?? 'custom'
}

/** Inputs, table and loop have the keys of the function. */
function ownKeys({ inputs, table, loop }: Fields, report: Report): void {
  const streams = isPlain(inputs) ? Object.entries(inputs) : []
  const own = streams.map(([stream, codec]): [string, unknown] => [`inputs.${stream}`, codec])
  for (const [at, codec] of [...own, ['table', table], ['loop', loop]] as const) {
    if (isObject(codec) && 'keys' in codec)
      report(
        at,
        "keyed is for outputs and lookups: give the definition keys, for all of the function's own",
      )
  }
}

function storeOf(given: unknown, keepsSomething: boolean, report: Report): StoreKind {
  if (given === undefined) return 'level'
  if (!keepsSomething) report('store', 'there is nothing that it could keep: add table')
  if (isPlain(given)) {
    callable('store.open', given.open, report)
    return 'own'
  }
  if (typeof given === 'string') return oneOf('store', given, ['level', 'memory'], report)
  report('store', `'level', 'memory' or an object with open is needed, not ${inWords(given)}`)
  return 'level'
}

function visitorsOf(given: unknown, hasTable: boolean, report: Report): readonly string[] {
  if (given === undefined) return []
  if (!isPlain(given)) {
    report('visitors', `an object of visitors by name is needed, not ${inWords(given)}`)
    return []
  }
  if (!hasTable) report('visitors', 'there is no table whose keys they could visit: add table')
  for (const [name, visitor] of Object.entries(given)) {
    const at = `visitors.${name}`
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name))
      report(at, 'a visitor has up to 64 letters, digits, "_" and "-", a letter first')
    callable(at, visitor, report)
  }
  return Object.keys(given)
}

function defaultHeaders(given: unknown, report: Report): void {
  if (given === undefined) return
  if (!isPlain(given)) {
    report('headers', `an object like { source: 'web' } is needed, not ${inWords(given)}`)
    return
  }
  const wrong = Object.entries(given).filter(([, value]) => typeof value !== 'string')
  for (const [name, value] of wrong)
    report(`headers.${name}`, `a text is needed, not ${inWords(value)}`)
  const names = Object.keys(given).map((name): [string, string] => [name, ''])
  const problem = headerProblem(Object.fromEntries(names))
  if (problem !== undefined) report('headers', problem)
}

function middleware(given: unknown, report: Report): void {
  if (given === undefined) return
  const all: readonly unknown[] = Array.isArray(given) ? given : [given]
  for (const [index, each] of all.entries()) {
    const at = Array.isArray(given) ? `wrap[${index}]` : 'wrap'
    if (typeof each !== 'function') {
      callable(at, each, report)
      continue
    }
    try {
      const made: unknown = each(() => {})
      if (typeof made !== 'function')
        report(at, `it is to return (ctx, value) => next(ctx, value), not ${inWords(made)}`)
    } catch (error) {
      report(at, `it threw when it was given a handler: ${toPlainError(error).message}`)
    }
  }
}

function callable(where: string, handler: unknown, report: Report): void {
  if (typeof handler !== 'function') report(where, `a function is needed, not ${inWords(handler)}`)
}

function retryOf(given: unknown, report: Report): RunOptions['retry'] {
  const retry = given ?? {}
  if (!isPlain(retry)) {
    report(
      'retry',
      `an object like { attempts: 3, backoffMs: 100 } is needed, not ${inWords(retry)}`,
    )
    return { attempts: 3, backoffMs: 100 }
  }
  unknownFields('retry', retry, ['attempts', 'backoffMs'], report)
  const { attempts = 3, backoffMs = 100 } = retry
  return {
    attempts: whole('retry.attempts', attempts, 1, 1_000, report),
    backoffMs: whole('retry.backoffMs', backoffMs, 0, 3_600_000, report),
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function isPlain(value: unknown): value is Fields {
  return isObject(value) && !Array.isArray(value) && !isCodec(value)
}
