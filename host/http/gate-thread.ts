// The gate thread: runs the schemas and codecs of function files on behalf of HTTP; disposable at any time.
import { parentPort } from 'node:worker_threads'
import type { Codec } from '../../sdk/codec.js'
import { HostError, toPlainError } from '../errors.js'
import { storedTable } from '../functions/definition.js'
import { codecKind } from '../functions/describe.js'
import { loadBundle } from '../functions/load.js'
import { unpack } from '../functions/packed.js'
import { tableCodec } from '../processor/migration.js'
import { snapshotBytes } from '../processor/value.js'
import type { GateReply, GateRequest, GateResults, GateWork, Refusal } from './gate-protocol.js'
import { toJsonText } from './json-text.js'
import { builtIn } from './shown.js'

interface UserCodec {
  encode(value: unknown): unknown
  decode(bytes: Uint8Array): unknown
  /** As JSON text; absent: that of what `decode` gives. */
  show?(bytes: Buffer): string
}

type Loaded =
  | { readonly definition: unknown; dispose(): void }
  | { readonly error: unknown; dispose(): void }

const port = parentPort
if (port === null) throw new TypeError('this file is the entry of a thread')
const loaded = new Map<string, Loaded>()
const reply = (message: GateReply) => port.postMessage(message)

port.on('message', (request: GateRequest) => {
  try {
    reply({ kind: 'done', results: request.kind === 'load' ? load(request.bundle) : work(request) })
  } catch (error) {
    reply({ kind: 'failed', error: toPlainError(error) })
  }
})
reply({ kind: 'ready' })

function load(bundle: Extract<GateRequest, { kind: 'load' }>['bundle']): null {
  loaded.get(bundle.name)?.dispose()
  try {
    loaded.set(bundle.name, loadBundle(bundle))
  } catch (error) {
    // Told to each request that wants a codec of it.
    loaded.set(bundle.name, { error, dispose: () => {} })
  }
  return null
}

function work(request: Extract<GateRequest, { kind: 'work' }>): GateResults {
  const bundle = loaded.get(request.function)
  if (bundle === undefined)
    throw new HostError('INTERNAL', `${request.function} is not loaded at the gate`)
  if ('error' in bundle) throw bundle.error
  const codec = codecOf(bundle.definition, request.edge)
  if (codec === undefined) {
    const { edge } = request
    const name = edge.kind === 'table' ? 'table' : `${edge.kind} ${JSON.stringify(edge.stream)}`
    throw new HostError(
      'BAD_VALUE',
      `the function ${request.function} has no ${name} any more: it was changed just now; try again`,
    )
  }
  return run(codec, request.work)
}

function run(codec: UserCodec, work: GateWork): GateResults {
  switch (work.operation) {
    case 'check':
      return {
        operation: 'check',
        results: unpack(work.values).map((value) =>
          orRefusal(() => {
            codec.decode(value)
            return null
          }),
        ),
      }
    case 'encode':
      return {
        operation: 'encode',
        results: work.texts.map((text) =>
          orRefusal(() => {
            const bytes = codec.encode(JSON.parse(text))
            if (bytes instanceof Uint8Array) return new Uint8Array(bytes)
            throw new TypeError('encode of the codec returned no Uint8Array')
          }),
        ),
      }
    case 'decode':
      return {
        operation: 'decode',
        results: unpack(work.values).map((value) =>
          orRefusal(() => codec.show?.(value) ?? toJsonText(codec.decode(value))),
        ),
      }
  }
}

function orRefusal<T>(run: () => T): T | Refusal {
  try {
    return run()
  } catch (error) {
    const { message } = toPlainError(error)
    const issues = member(error, 'issues')
    if (!Array.isArray(issues)) return { message }
    return {
      message,
      issues: issues.map((issue: unknown) => ({
        path: String(member(issue, 'path') ?? ''),
        message: String(member(issue, 'message') ?? ''),
      })),
    }
  }
}

function codecOf(
  definition: unknown,
  edge: Extract<GateRequest, { kind: 'work' }>['edge'],
): UserCodec | undefined {
  if (edge.kind === 'table') return tableOf(definition)
  const found = member(
    member(definition, edge.kind === 'input' ? 'inputs' : 'outputs'),
    edge.stream,
  )
  return isCodec(found) ? found : undefined
}

function tableOf(definition: unknown): UserCodec | undefined {
  // The probe has checked the shape of this very bundle.
  const stored = storedTable(definition)
  const { table, migrate } = stored
  if (!isCodec(table) || migrate === undefined) return isCodec(table) ? table : undefined
  const codec = tableCodec(stored)
  const kind = codecKind(table)
  return {
    encode: (value) => table.encode(value),
    decode: (bytes) => codec.revive(Buffer.from(bytes)),
    ...(kind === 'custom'
      ? {}
      : { show: (stored) => builtIn(kind, snapshotBytes(codec.current(stored))) }),
  }
}

const isCodec = (value: unknown): value is Codec<unknown> =>
  typeof member(value, 'encode') === 'function' && typeof member(value, 'decode') === 'function'

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return name in value ? Reflect.get(value, name) : undefined
}
