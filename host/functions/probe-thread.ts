// The probe's thread: loads one bundle, says what it is or what is wrong with it, and is thrown away.
import { parentPort } from 'node:worker_threads'
import { toPlainError } from '../errors.js'
import { describeDefinition } from './describe.js'
import { type LoadedBundle, loadBundle } from './load.js'
import type { ProbeAnswer, ProbeRequest } from './probe.js'

parentPort?.once('message', (request: ProbeRequest) => {
  const answer = answerTo(request)
  // One turn later: a rejection at load that nobody handles has ended the thread by then, as it would the function's own.
  setImmediate(() => parentPort?.postMessage(answer))
})
parentPort?.postMessage('ready')

function answerTo({ bundle, namespace }: ProbeRequest): ProbeAnswer {
  let loaded: LoadedBundle
  try {
    loaded = loadBundle(bundle)
  } catch (thrown) {
    return { kind: 'threw', error: toPlainError(thrown) }
  }
  try {
    return {
      kind: 'described',
      description: describeDefinition(loaded.definition, { name: bundle.name, namespace }),
    }
  } catch (thrown) {
    const { definition } = loaded
    const isObject = typeof definition === 'object' && definition !== null
    const definedAt: unknown = isObject && Reflect.get(definition, Symbol.for('millrace.definedAt'))
    return {
      kind: 'refused',
      error: toPlainError(thrown),
      ...(typeof definedAt === 'string' ? { definedAt } : {}),
    }
  }
}
