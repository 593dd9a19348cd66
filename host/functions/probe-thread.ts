// The probe's thread: loads one bundle, says what it is or what is wrong with it, and is thrown away.
import { parentPort } from 'node:worker_threads'
import { type PlainError, toPlainError } from '../errors.js'
import { type TableDefinition, tableCodec } from '../processor/migration.js'
import { storedTable } from './definition.js'
import { describeDefinition } from './describe.js'
import { type FunctionDescription, tableIdOf } from './description.js'
import { type LoadedBundle, loadBundle } from './load.js'
import { unpack } from './packed.js'
import type { ProbeAnswer, ProbeRequest, ProbeStage } from './probe.js'

parentPort?.once('message', (request: ProbeRequest) => {
  const answer = answerTo(request)
  // One turn later: a rejection at load that nobody handles has ended the thread by then, as it would the function's own.
  setImmediate(() => parentPort?.postMessage(answer))
})
say('ready')

function say(stage: ProbeStage): void {
  parentPort?.postMessage(stage)
}

function answerTo({ bundle, namespace, stored }: ProbeRequest): ProbeAnswer {
  let loaded: LoadedBundle
  try {
    loaded = loadBundle(bundle)
  } catch (thrown) {
    return { kind: 'threw', error: toPlainError(thrown) }
  }
  const { definition } = loaded
  let description: FunctionDescription
  try {
    description = describeDefinition(definition, { name: bundle.name, namespace })
  } catch (thrown) {
    return { kind: 'refused', error: toPlainError(thrown), ...definedAt(definition) }
  }
  if (stored === undefined || stored.table !== tableIdOf(description)) {
    return { kind: 'described', description }
  }
  say('loaded')
  const refused = firstRefused(storedTable(definition), unpack(stored.values))
  return refused === undefined
    ? { kind: 'described', description }
    : { kind: 'mismatched', description, ...refused, ...definedAt(definition) }
}

function firstRefused(definition: TableDefinition, values: readonly Buffer[]) {
  let first: { readonly index: number; readonly error: PlainError } | undefined
  let count = 0
  try {
    const codec = tableCodec(definition)
    for (const [index, value] of values.entries()) {
      try {
        codec.revive(value)
      } catch (thrown) {
        count += 1
        first ??= { index, error: toPlainError(thrown) }
      }
    }
  } catch (thrown) {
    // A getter of the user's that answers otherwise the second time.
    return { index: 0, count: values.length, error: toPlainError(thrown) }
  }
  return first === undefined ? undefined : { ...first, count }
}

/** The stack of the call of `defineProcessor`. */
function definedAt(definition: unknown): { definedAt?: string } {
  const isObject = typeof definition === 'object' && definition !== null
  const at: unknown = isObject && Reflect.get(definition, Symbol.for('millrace.definedAt'))
  return typeof at === 'string' ? { definedAt: at } : {}
}
