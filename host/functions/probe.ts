// Tries a bundle in a throw-away thread, so that a loop, a throw or an exit at load hurts nobody.
import { Worker } from 'node:worker_threads'
import { fromPlainError, HostError, type PlainError, toPlainError } from '../errors.js'
import type { Sample } from '../tables/sample.js'
import { whenAwakeFor } from '../within.js'
import type { Bundle, FunctionDescription } from './description.js'
import { type Packed, pack } from './packed.js'
import { codeFrame, type MappedStack, mapStack, sourceOf } from './stack.js'

export interface ProbeRequest {
  readonly bundle: Pick<Bundle, 'code' | 'file' | 'name' | 'version'>
  readonly namespace: string
  readonly stored?: { readonly table: string; readonly values: Packed } | undefined
}

/** Values that a table holds: which, says `tableIdOf`. */
export interface StoredValues {
  readonly table: string
  readonly sample: readonly Sample[]
}

export type ProbeAnswer =
  | { readonly kind: 'described'; readonly description: FunctionDescription }
  /** The table's codec does not take `count` of the stored values. */
  | {
      readonly kind: 'mismatched'
      readonly description: FunctionDescription
      readonly count: number
      /** Of the first one. */
      readonly index: number
      readonly error: PlainError
      readonly definedAt?: string
    }
  /** `definedAt`: the stack of the call of `defineProcessor`. */
  | { readonly kind: 'refused'; readonly error: PlainError; readonly definedAt?: string }
  | { readonly kind: 'threw'; readonly error: PlainError }

/** What the thread says before it answers: each opens a new deadline. */
export type ProbeStage = 'ready' | 'loaded'

type Ending =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'late'; readonly isLoaded: boolean }

export interface ProbeOptions {
  /** How long a bundle may load, from when a thread is ready for it; and then decode stored values. Default: 5,000. */
  readonly loadMs?: number
}

/** Keeps one thread ready, since starting one takes longer than loading a bundle. */
export class Probe implements AsyncDisposable {
  readonly #loadMs: number
  readonly #threads = new Set<ProbeThread>()
  #spare: ProbeThread | undefined
  #isDisposed = false

  constructor({ loadMs = 5_000 }: ProbeOptions = {}) {
    this.#loadMs = loadMs
    this.#spare = this.#start()
  }

  /**
   * Loads and describes, and has the table's codec decode the stored values if they are of its table. Rejects with LOAD_FAILED
   * (threw, or ended its thread), LOAD_TIMEOUT, BAD_DEFINITION or TABLE_MISMATCH. Details have `inputs`; `file`, `line`, `column`
   * and `frame`, as far as they are known; `stack` or `problems`.
   */
  async probe(
    bundle: Bundle,
    {
      namespace,
      stored,
      onThread,
    }: {
      readonly namespace: string
      readonly stored?: StoredValues | undefined
      readonly onThread?: (thread: number) => void
    },
  ): Promise<FunctionDescription> {
    if (this.#isDisposed)
      throw new HostError('STOPPING', 'the probe has been stopped', { function: bundle.name })
    const thread = this.#spare ?? this.#start()
    this.#spare = undefined
    onThread?.(thread.id)
    try {
      const { code, file, name, version } = bundle
      const request: ProbeRequest = {
        bundle: { code, file, name, version },
        namespace,
        stored: stored && {
          table: stored.table,
          values: pack(stored.sample.map(({ value }) => value)),
        },
      }
      const outcome = await thread.ask(request, this.#loadMs)
      if (outcome.kind === 'mismatched') throw mismatch(bundle, outcome, stored?.sample ?? [])
      return descriptionOf(outcome, bundle, this.#loadMs, this.#isDisposed)
    } finally {
      await this.#end(thread)
      if (!this.#isDisposed) this.#spare ??= this.#start()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await Promise.all([...this.#threads].map((thread) => this.#end(thread)))
  }

  #start(): ProbeThread {
    const thread = new ProbeThread()
    this.#threads.add(thread)
    return thread
  }

  async #end(thread: ProbeThread): Promise<void> {
    await thread[Symbol.asyncDispose]()
    this.#threads.delete(thread)
  }
}

class ProbeThread implements AsyncDisposable {
  readonly #worker = new Worker(new URL('./probe-thread.js', import.meta.url))
  readonly #ready: Promise<unknown>
  readonly #outcome: Promise<ProbeAnswer | Ending>
  #isLate: (isLoaded: boolean) => void = () => undefined
  #isLoaded: () => void = () => undefined

  constructor() {
    const ready = new Promise((resolve) => this.#worker.once('message', resolve))
    this.#outcome = new Promise((resolve) => {
      this.#isLate = (isLoaded) => resolve({ kind: 'late', isLoaded })
      this.#worker.on('message', (message: ProbeStage | ProbeAnswer) => {
        if (message === 'loaded') this.#isLoaded()
        else if (message !== 'ready') resolve(message)
      })
      this.#worker.on('error', (thrown: unknown) =>
        resolve({ kind: 'threw', error: toPlainError(thrown) }),
      )
      this.#worker.on('exit', (exitCode) => resolve({ kind: 'exited', exitCode }))
    })
    this.#ready = Promise.race([ready, this.#outcome])
  }

  get id(): number {
    return this.#worker.threadId
  }

  async ask(request: ProbeRequest, loadMs: number): Promise<ProbeAnswer | Ending> {
    await this.#ready
    this.#worker.postMessage(request)
    // A thread of a host that is frozen is frozen, too.
    let takeBack = whenAwakeFor(loadMs, () => this.#isLate(false))
    this.#isLoaded = () => {
      takeBack()
      takeBack = whenAwakeFor(loadMs, () => this.#isLate(true))
    }
    try {
      return await this.#outcome
    } finally {
      takeBack()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}

type Mismatch = Extract<ProbeAnswer, { kind: 'mismatched' }>

function descriptionOf(
  outcome: Exclude<ProbeAnswer, Mismatch> | Ending,
  bundle: Bundle,
  loadMs: number,
  isStopping: boolean,
): FunctionDescription {
  const { name } = bundle
  switch (outcome.kind) {
    case 'described':
      return outcome.description
    case 'refused':
      throw refusal(bundle, outcome.error, outcome.definedAt)
    case 'threw':
      throw thrownAtLoad(bundle, outcome.error)
    case 'exited':
      if (isStopping)
        throw new HostError('STOPPING', `${name} was not loaded: the probe was stopped`, {
          function: name,
        })
      throw new HostError(
        'LOAD_FAILED',
        `${name} ended its thread while it was loaded (exit code ${outcome.exitCode}): take process.exit out of the file`,
        { function: name, details: { file: bundle.file, inputs: bundle.inputs } },
      )
    case 'late':
      throw new HostError(
        'LOAD_TIMEOUT',
        outcome.isLoaded
          ? `${name} was loaded, but its table's codec was not done with a sample of what is stored within ${loadMs} ms: look for a loop that does not end in the codec or in migrate`
          : `${name} was not loaded within ${loadMs} ms: look for a loop that does not end, or long work outside the handlers`,
        { function: name, details: { file: bundle.file, inputs: bundle.inputs } },
      )
  }
}

function mismatch(
  bundle: Bundle,
  { index, count, error, definedAt }: Mismatch,
  sample: readonly Sample[],
): HostError {
  const mapped = definedAt === undefined ? exportIn(bundle) : mapStack(definedAt, bundle)
  const { file, line, column, frame } = mapped
  const { key, partition } = sample[index] ?? {}
  const failure = new HostError(
    'TABLE_MISMATCH',
    `${bundle.name}: its table's codec does not take what is stored: ${count} of ${sample.length} values that were tried, as that of the key ${JSON.stringify(key?.toString('utf8'))} (partition ${partition}): ${error.message}. Have the codec take them, give the definition migrate: { from, to }, or begin anew with another revision${written(mapped)}`,
    {
      function: bundle.name,
      ...(partition === undefined ? {} : { partition }),
      details: { file, line, column, frame, inputs: bundle.inputs },
      cause: fromPlainError(error, 'UNDECODABLE'),
    },
  )
  return withStack(failure, definedAt)
}

function thrownAtLoad(bundle: Bundle, error: PlainError): HostError {
  const { name, inputs } = bundle
  const mapped = mapStack(error.stack ?? error.message, bundle)
  const failure = new HostError(
    'LOAD_FAILED',
    `${name} failed to load: ${error.name}: ${error.message}${written(mapped)}`,
    {
      function: name,
      details: { file: bundle.file, ...mapped, inputs },
      cause: fromPlainError(error, 'LOAD_FAILED'),
    },
  )
  return withStack(failure, error.stack)
}

function refusal(bundle: Bundle, error: PlainError, definedAt: string | undefined): HostError {
  const mapped = definedAt === undefined ? exportIn(bundle) : mapStack(definedAt, bundle)
  const { file, line, column, frame } = mapped
  const place = { file, line, column, frame }
  const problems = problemsIn(error.details).map((problem) => ({ ...problem, ...place }))
  const failure = fromPlainError({
    ...error,
    message: error.message + written(mapped),
    details: { ...place, problems, inputs: bundle.inputs },
  })
  return withStack(failure, definedAt)
}

/** Unmapped, as all that a thread reports: who shows it maps it. The host's own frames would tell nobody anything. */
function withStack(failure: HostError, stack: string | undefined): HostError {
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
  failure.stack = [`HostError: ${failure.message}`, ...frames].join('\n')
  return failure
}

function problemsIn(details: unknown): readonly object[] {
  const hasProblems = typeof details === 'object' && details !== null && 'problems' in details
  return hasProblems && Array.isArray(details.problems) ? details.problems : []
}

/** Where the default export is, or should be. */
function exportIn(bundle: Bundle): Omit<MappedStack, 'stack'> {
  const source = sourceOf(bundle, bundle.file)
  if (source === undefined) return { file: bundle.file }
  const lines = source.split('\n')
  const line =
    Math.max(
      0,
      lines.findIndex((text) => /^\s*export default\b/.test(text)),
    ) + 1
  return { file: bundle.file, line, column: 1, frame: codeFrame(source, line, 1) }
}

function written({ file, line, column }: Omit<MappedStack, 'stack'>): string {
  return file === undefined || line === undefined ? '' : ` (${file}:${line}:${column})`
}
