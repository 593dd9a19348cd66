// The main thread's side of the gate: sends what user code has to judge to a thread that may hang, and starts it anew.
import { Worker } from 'node:worker_threads'
import { fromPlainError, HostError } from '../errors.js'
import type { CodecRef } from '../functions/catalog.js'
import type { Bundle } from '../functions/description.js'
import { pack } from '../functions/packed.js'
import type { Logger } from '../logger.js'
import type { GateReply, GateRequest, GateResults, GateWork, Refusal } from './gate-protocol.js'

export interface Gate extends AsyncDisposable {
  /** For each value: null, or why the codec's `decode` does not take it. */
  check(ref: CodecRef, values: readonly Uint8Array[]): Promise<(Refusal | null)[]>
  /** JSON texts to bytes by the codec's `encode`. */
  encode(ref: CodecRef, texts: readonly string[]): Promise<(Uint8Array | Refusal)[]>
  /** Bytes to JSON texts by the codec's `decode`. */
  decode(ref: CodecRef, values: readonly Uint8Array[]): Promise<(string | Refusal)[]>
}

export interface GateOptions {
  /** The bundle that runs, of which the codecs are taken. */
  bundle(functionName: string): Bundle | undefined
  readonly gateMs: number
  readonly loadMs: number
  readonly maxWaiting: number
  readonly logger: Logger
}

/** Values of one message: the deadline is for as many. */
const valuesAtOnce = 500

interface Job {
  readonly request: GateRequest
  readonly bundle: Bundle
  readonly deadlineMs: number
  resolve(results: GateResults | null): void
  reject(error: HostError): void
}

/** A thread is started with the first request. A function that has hung or died in the one that all share gets one of its own. */
export function createGate(options: GateOptions): Gate {
  const own = new Map<string, GateQueue>()
  const hanging = new Map<string, string>()
  const shared = new GateQueue(options, hanging, (name) => {
    const queue = own.get(name) ?? new GateQueue(options, hanging)
    own.set(name, queue)
    return queue
  })
  const queueOf = (ref: CodecRef) => own.get(ref.function) ?? shared
  return {
    check: (ref, values) =>
      inParts(values, async (part) => {
        const answer = await queueOf(ref).run(ref, { operation: 'check', values: pack(part) })
        return answer.operation === 'check' ? answer.results : []
      }),
    encode: (ref, texts) =>
      inParts(texts, async (part) => {
        const answer = await queueOf(ref).run(ref, { operation: 'encode', texts: part })
        return answer.operation === 'encode' ? answer.results : []
      }),
    decode: (ref, values) =>
      inParts(values, async (part) => {
        const answer = await queueOf(ref).run(ref, { operation: 'decode', values: pack(part) })
        return answer.operation === 'decode' ? answer.results : []
      }),
    async [Symbol.asyncDispose]() {
      // First, so that it makes no other any more.
      await shared[Symbol.asyncDispose]()
      await Promise.all([...own.values()].map((queue) => queue[Symbol.asyncDispose]()))
    },
  }
}

async function inParts<T, R>(
  values: readonly T[],
  run: (part: readonly T[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < values.length; at += valuesAtOnce) {
    for (const result of await run(values.slice(at, at + valuesAtOnce))) results.push(result)
  }
  return results
}

class GateQueue implements AsyncDisposable {
  readonly #options: GateOptions
  /** Sent and not answered; the thread is at the first of them. */
  #sent: Job[] = []
  #worker: Worker | undefined
  #isReady = false
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  /** What the thread has loaded: function to version. */
  readonly #loaded = new Map<string, string>()
  /** Versions that hang at load, by function: tried again, they would end the thread each time. */
  readonly #hanging: Map<string, string>
  readonly #isolate: ((functionName: string) => GateQueue) | undefined

  /** `isolate`: the queue for a function that must not hold up this one any more. */
  constructor(
    options: GateOptions,
    hanging: Map<string, string>,
    isolate?: (functionName: string) => GateQueue,
  ) {
    this.#options = options
    this.#hanging = hanging
    this.#isolate = isolate
  }

  async run(ref: CodecRef, work: GateWork): Promise<GateResults> {
    // The running version, even if it was another when the request came in: only that one is right for the stream now.
    const bundle = this.#options.bundle(ref.function)
    if (bundle === undefined) {
      throw new HostError('UNKNOWN_FUNCTION', `the function ${ref.function} is not loaded any more`)
    }
    if (this.#sent.length >= this.#options.maxWaiting) {
      throw new HostError(
        'OVERLOADED',
        `${this.#sent.length} requests wait for schemas and codecs of functions already: try again`,
      )
    }
    const results = await new Promise<GateResults | null>((resolve, reject) => {
      const request = { kind: 'work', function: ref.function, edge: ref.edge, work } as const
      this.#send({ request, bundle, deadlineMs: this.#options.gateMs, resolve, reject })
    })
    if (results === null) throw new HostError('INTERNAL', 'the gate answered without results')
    return results
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const worker = this.#detach()
    for (const job of this.#sent.splice(0)) job.reject(stopping())
    await worker?.terminate()
  }

  #send(job: Job): void {
    const { name, version } = job.bundle
    if (this.#isClosed || this.#hanging.get(name) === version) {
      job.reject(this.#isClosed ? stopping() : hangsAtLoad(job.bundle))
      return
    }
    this.#worker ??= this.#start()
    if (this.#loaded.get(name) !== version) {
      this.#loaded.set(name, version)
      const { file, code } = job.bundle
      this.#post({
        request: { kind: 'load', bundle: { name, version, file, code } },
        bundle: job.bundle,
        deadlineMs: this.#options.loadMs,
        resolve: () => {},
        reject: () => {},
      })
    }
    this.#post(job)
  }

  #post(job: Job): void {
    this.#sent.push(job)
    this.#worker?.postMessage(job.request)
    if (this.#sent.length === 1) this.#watch()
  }

  #start(): Worker {
    const worker = new Worker(new URL('./gate-thread.js', import.meta.url), {
      name: 'millrace gate',
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    })
    worker.on('message', (reply: GateReply) => this.#answered(reply))
    worker.on('error', (error) => this.#died(error.message))
    worker.on('exit', (code) => this.#died(`it ended with exit code ${code}`))
    return worker
  }

  /** From now on the first job has the thread: its time begins. */
  #watch(): void {
    clearTimeout(this.#timer)
    const [job] = this.#sent
    if (job === undefined || !this.#isReady) return
    this.#timer = setTimeout(() => {
      // If this thread was the slow one, the answer is here already: let it be read first.
      setImmediate(() => {
        if (this.#sent[0] === job) this.#timedOut(job)
      })
    }, job.deadlineMs)
  }

  #answered(reply: GateReply): void {
    if (reply.kind === 'ready') {
      this.#isReady = true
    } else {
      const job = this.#sent.shift()
      if (reply.kind === 'done') job?.resolve(reply.results)
      else job?.reject(fromPlainError(reply.error, 'LOAD_FAILED'))
    }
    this.#watch()
  }

  #timedOut(job: Job): void {
    const { name, version } = job.bundle
    this.#options.logger.warn('the gate thread hangs and is started anew', {
      function: name,
      version,
    })
    if (job.request.kind === 'load') this.#hanging.set(name, version)
    this.#restart(
      new HostError(
        'GATE_TIMEOUT',
        `a schema or codec of ${name} was not done with a value after ${job.deadlineMs} ms: ` +
          'make it faster, or send a simpler value',
        { function: name },
      ),
    )
  }

  #died(reason: string): void {
    const [job] = this.#sent
    const name = job?.bundle.name
    const error = new HostError(
      'WORKER_DIED',
      `the gate thread died${name === undefined ? '' : ` while it ran a schema or codec of ${name}`}: ${reason}`,
      name === undefined ? {} : { function: name },
    )
    this.#options.logger.error(error.message)
    // One that dies before it is ready will do it again.
    if (!this.#isReady) for (const waiting of this.#sent.splice(0)) waiting.reject(error)
    this.#restart(error)
  }

  /** The first job is at fault; the others are sent again, to a new thread. */
  #restart(fault: HostError): void {
    const [guilty, ...others] = this.#sent.splice(0)
    void this.#detach()?.terminate()
    guilty?.reject(fault)
    if (guilty === undefined || this.#isClosed) return
    // Whoever has hung once may do it again.
    const { name } = guilty.bundle
    const own = this.#isolate?.(name) ?? this
    for (const job of others) {
      if (job.request.kind === 'work') (job.bundle.name === name ? own : this).#send(job)
    }
  }

  #detach(): Worker | undefined {
    clearTimeout(this.#timer)
    const worker = this.#worker
    worker?.removeAllListeners()
    // An error of a thread that nobody listens to any more would be thrown in this one.
    worker?.on('error', () => {})
    this.#worker = undefined
    this.#isReady = false
    this.#loaded.clear()
    return worker
  }
}

const stopping = (): HostError => new HostError('STOPPING', 'the host stops: try again in a moment')

const hangsAtLoad = ({ name, version }: Bundle): HostError =>
  new HostError(
    'LOAD_TIMEOUT',
    `${name} ${version} did not load at the gate in time: change the file`,
    {
      function: name,
    },
  )
