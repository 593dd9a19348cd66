// Compiles a bundle in this thread and hands it the SDK and timers that end with its version.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { compileFunction } from 'node:vm'
import * as sdk from '../../sdk/index.js'
import type { Bundle } from './description.js'
import { virtualFile } from './virtual-file.js'

export interface LoadedBundle {
  /** The default export, whatever it is. */
  readonly definition: unknown
  /**
   * Clears the version's live timers. Timers that it sets later are ignored: what an old version still has under way must
   * neither go on nor throw where nobody catches it. A pending wait of `timers/promises` never settles. What goes past the
   * tracked timers (`globalThis.setTimeout`, sockets, child processes) stays.
   */
  dispose(): void
}

/** Runs the bundle. Throws what its code throws. */
export function loadBundle(
  bundle: Pick<Bundle, 'code' | 'file' | 'name' | 'version'>,
): LoadedBundle {
  const timers = trackTimers()
  const module: { exports: unknown } = { exports: {} }
  const values: Readonly<Record<string, unknown>> = {
    ...timers.globals,
    exports: module.exports,
    require: requireFor(bundle.file, timers),
    module,
    __filename: bundle.file,
    __dirname: dirname(bundle.file),
  }
  try {
    // Not import(): a module, once imported, stays for good; a compiled function is collected with its version.
    const run = compileFunction(bundle.code, Object.keys(values), {
      filename: virtualFile(bundle.name, bundle.version),
    })
    Reflect.apply(run, module.exports, Object.values(values))
  } catch (thrown) {
    timers.dispose()
    throw thrown
  }
  return { definition: defaultOf(module.exports), dispose: timers.dispose }
}

function defaultOf(exports: unknown): unknown {
  const isObject = typeof exports === 'object' && exports !== null
  return isObject && 'default' in exports ? exports.default : undefined
}

function requireFor(file: string, timers: TrackedTimers) {
  const nodeRequire = createRequire(file)
  const millrace = { __esModule: true, ...sdk }
  const require = (id: string): unknown => {
    switch (id) {
      case 'millrace':
        return millrace
      case 'timers':
      case 'node:timers':
        return timers.timersModule
      case 'timers/promises':
      case 'node:timers/promises':
        return timers.promises
      default:
        if (id.startsWith('millrace/'))
          throw new Error(`a function imports 'millrace' only, not '${id}'`)
        return nodeRequire(id)
    }
  }
  return Object.assign(require, { resolve: nodeRequire.resolve })
}

type TrackedTimers = ReturnType<typeof trackTimers>
type Callback = (...values: unknown[]) => unknown
type Timer = NodeJS.Timeout | string | number | undefined

interface WaitOptions {
  readonly signal?: AbortSignal
  readonly ref?: boolean
}

function trackTimers() {
  const timeouts = new Set<NodeJS.Timeout>()
  const immediates = new Set<NodeJS.Immediate>()
  let isDisposed = false

  const trackTimeout = (timer: NodeJS.Timeout): NodeJS.Timeout => {
    if (isDisposed) clearTimeout(timer)
    else timeouts.add(timer)
    return timer
  }
  const setTimeoutTracked = (callback: Callback, ms?: number, ...values: unknown[]) => {
    assertCallback(callback)
    const timer: NodeJS.Timeout = setTimeout(() => {
      timeouts.delete(timer)
      // `refresh` may have set it again behind our back.
      if (!isDisposed) Reflect.apply(callback, timer, values)
    }, ms)
    return trackTimeout(timer)
  }
  const setIntervalTracked = (callback: Callback, ms?: number, ...values: unknown[]) => {
    assertCallback(callback)
    const timer: NodeJS.Timeout = setInterval(() => Reflect.apply(callback, timer, values), ms)
    return trackTimeout(timer)
  }
  const setImmediateTracked = (callback: Callback, ...values: unknown[]) => {
    assertCallback(callback)
    const timer: NodeJS.Immediate = setImmediate(() => {
      immediates.delete(timer)
      Reflect.apply(callback, timer, values)
    })
    if (isDisposed) clearImmediate(timer)
    else immediates.add(timer)
    return timer
  }
  const clearTracked = (timer: Timer) => {
    clearTimeout(timer)
    if (typeof timer === 'object') timeouts.delete(timer)
    else for (const known of timeouts) if (Number(known) === Number(timer)) timeouts.delete(known)
  }
  const clearImmediateTracked = (timer: NodeJS.Immediate | undefined) => {
    clearImmediate(timer)
    if (timer !== undefined) immediates.delete(timer)
  }

  const wait = (ms?: number, value?: unknown, options: WaitOptions = {}) =>
    abortable(options, (done) => {
      const timer = setTimeoutTracked(() => done(value), ms)
      if (options.ref === false) timer.unref()
      return () => clearTracked(timer)
    })
  const turn = (value?: unknown, options: WaitOptions = {}) =>
    abortable(options, (done) => {
      const timer = setImmediateTracked(() => done(value))
      if (options.ref === false) timer.unref()
      return () => clearImmediateTracked(timer)
    })
  async function* every(ms?: number, value?: unknown, options?: WaitOptions) {
    for (;;) yield await wait(ms, value, options)
  }

  const promises = {
    setTimeout: wait,
    setImmediate: turn,
    setInterval: every,
    scheduler: {
      wait: (ms: number, options?: WaitOptions) => wait(ms, undefined, options),
      yield: () => turn(),
    },
  }
  const globals = {
    setTimeout: Object.assign(setTimeoutTracked, { [promisify.custom]: wait }),
    setInterval: setIntervalTracked,
    setImmediate: Object.assign(setImmediateTracked, { [promisify.custom]: turn }),
    clearTimeout: clearTracked,
    clearInterval: clearTracked,
    clearImmediate: clearImmediateTracked,
  }
  const dispose = () => {
    isDisposed = true
    for (const timer of timeouts) clearTimeout(timer)
    for (const timer of immediates) clearImmediate(timer)
    timeouts.clear()
    immediates.clear()
  }
  return { globals, promises, timersModule: { ...globals, promises }, dispose }
}

/** A promise of `timers/promises`: settled by `start`'s argument, or rejected when the signal aborts. */
function abortable(
  { signal }: WaitOptions,
  start: (done: (value: unknown) => void) => () => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      stop()
      reject(
        Object.assign(new Error('The operation was aborted', { cause: signal?.reason }), {
          name: 'AbortError',
          code: 'ABORT_ERR',
        }),
      )
    }
    const stop = start((value) => {
      signal?.removeEventListener('abort', abort)
      resolve(value)
    })
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}

function assertCallback(callback: unknown): void {
  if (typeof callback !== 'function') throw new TypeError('a timer takes a function')
}
