// The small parent process: starts the host, starts it anew when it dies, and hands on the signals that it gets.
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../logger.js'
import { backoffMs } from '../processor/clock.js'
import { onStopSignals, type StopSignal, signalExitCode } from '../signals.js'
import { Blame, type BlameLimits } from './blame.js'
import { steadyMalloc } from './malloc.js'
import type { FromHost, FunctionVitals, SupervisedStart } from './messages.js'
import { faultyThread } from './reports.js'

export interface SupervisorOptions {
  /** The host's main module, and its arguments without what the supervisor adds. */
  readonly module: string
  readonly args: readonly string[]
  readonly logger: Logger
  readonly stopSignals: readonly StopSignal[]
  /** How long the host has from the first signal on. */
  readonly stopMs: number
  /** The data folder: a host that dies may leave a report there. */
  readonly data: string
  readonly blame: BlameLimits
  /** The host was asked to take any free port: the next one has to take the same. */
  readonly isAnyPort: boolean
  /** Ended like this it would only end so again. */
  isFinal(code: number, hasListened: boolean): boolean
}

/** How one host ended. */
interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly livedMs: number
  readonly pid: number | undefined
}

const backoffBaseMs = 100
const backoffMaxMs = 10_000
/** A host that has listened for this long was sound: the next is started at once. */
const soundLifeMs = 10_000
/** Beyond the host's own limits: one whose main thread hangs does not keep them. */
const graceMs = 1_000
/** For what a dead host has said to be read. */
const channelMs = 500

/** Resolves with the exit code of the last host. */
export async function supervise(options: SupervisorOptions): Promise<number> {
  return await new Supervisor(options).run()
}

class Supervisor {
  readonly #options: SupervisorOptions
  readonly #stopping = new AbortController()
  #host: ChildProcess | undefined
  /** The first signal to stop. */
  #forwarded: StopSignal | undefined
  #port: number | undefined
  /** At least once, by any of the hosts. */
  #hasListened = false
  #listeningSince: number | undefined
  /** This host has said something: it listens for signals. */
  #hasSpoken = false
  #isReloadDue = false
  readonly #blame: Blame
  #suspected: readonly string[] = []
  /** As the host last told. */
  #vitals: readonly FunctionVitals[] = []
  /** By the number of the thread, of all threads that this host has had. */
  readonly #threads = new Map<number, FunctionVitals>()

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#blame = new Blame(options.blame)
    onStopSignals(options.stopSignals, {
      first: (signal) => {
        this.#forwarded = signal
        this.#stopping.abort()
        this.#forward(signal, options.stopMs + graceMs)
      },
      second: (signal) => this.#forward(signal, graceMs),
    })
    if (!options.stopSignals.includes('SIGHUP')) {
      process.on('SIGHUP', () => this.#reload())
    }
  }

  async run(): Promise<number> {
    const options = this.#options
    for (let failures = 0; ; failures += 1) {
      this.#vitals = []
      this.#threads.clear()
      const ending = await this.#runHost()
      const { code, signal } = ending
      if (this.#stopping.signal.aborted) return stoppedCode(ending, this.#forwarded)
      if (code !== null && options.isFinal(code, this.#hasListened)) return code
      if (this.#wasSound()) failures = 0
      // What killed it is not there any more.
      if (await this.#findFault(ending)) failures = 0
      const pauseMs = failures === 0 ? 0 : backoffMs(failures - 1, backoffBaseMs, backoffMaxMs)
      options.logger.error(
        `the host died (${signal ?? `exit code ${code}`}): started anew ${pauseMs === 0 ? 'at once' : `in ${pauseMs} ms`}`,
        { livedMs: Math.round(ending.livedMs) },
      )
      await pause(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
      // Nothing runs: there is nothing to wait for.
      if (this.#stopping.signal.aborted) return 0
    }
  }

  async #runHost(): Promise<Ending> {
    const { module, args } = this.#options
    const start: SupervisedStart = {
      ...(this.#port === undefined ? {} : { port: this.#port }),
      quarantined: this.#blame.quarantined,
      suspected: this.#suspected,
    }
    const startedAt = performance.now()
    this.#listeningSince = undefined
    this.#hasSpoken = false
    const host = fork(module, [...args, '--supervised', JSON.stringify(start)], {
      // In a process group of its own: a Ctrl-C of the terminal reaches the supervisor alone.
      detached: true,
      env: steadyMalloc(process.env),
    })
    this.#host = host
    host.on('message', (message: FromHost) => this.#hear(message))
    const { pid } = host
    const ended = await new Promise<Pick<Ending, 'code' | 'signal'>>((resolve) => {
      host.once('exit', (code, signal) => {
        // Not before all that it has said is read; a process that it left behind may hold the channel.
        if (!host.connected) resolve({ code, signal })
        host.once('disconnect', () => resolve({ code, signal }))
        setTimeout(() => resolve({ code, signal }), channelMs).unref()
      })
      host.on('error', (error) => {
        // A signal that could not be sent, for instance: it runs on, and another beside it would be one too many.
        if (host.pid !== undefined) {
          this.#options.logger.error('the host could not be reached', { error })
          return
        }
        this.#options.logger.error('the host could not be started', { error })
        resolve({ code: null, signal: null })
      })
    })
    this.#host = undefined
    return { ...ended, pid, livedMs: performance.now() - startedAt }
  }

  #hear(message: FromHost): void {
    this.#hasSpoken = true
    if (this.#isReloadDue) this.#reload()
    switch (message.kind) {
      case 'listening':
        this.#hasListened = true
        this.#listeningSince = performance.now()
        if (this.#options.isAnyPort) this.#port = message.port
        break
      case 'vitals':
        this.#vitals = message.functions
        for (const each of message.functions) {
          if (each.thread !== undefined) this.#threads.set(each.thread, each)
        }
        break
      case 'released':
        this.#blame.release(message.function)
        break
    }
  }

  /** True: a function is quarantined for it. */
  async #findFault({ pid, signal }: Ending): Promise<boolean> {
    const { data, logger } = this.#options
    // It has ended itself: no function can bring that about.
    if (signal === null) return false
    const thread = pid === undefined ? undefined : await faultyThread(data, pid)
    const guilty = thread === undefined ? undefined : this.#threads.get(thread)
    // A report of a thread that is no function's accuses none.
    const running = thread === undefined ? this.#vitals.filter(isAtWork) : []
    const suspects = guilty === undefined ? running : [seenAtIt(guilty)]
    const common = this.#blame.died(suspects, performance.now())
    this.#suspected = common.length > 1 ? common.map(({ name }) => name) : []
    const names = common.map(({ name }) => name).join(', ')
    if (common.length === 1) {
      logger.error(`the function ${names} has killed the host again and again: it is quarantined`)
    } else if (common.length > 1) {
      logger.error(
        `the host dies again and again while these functions run: ${names}; they are started one after another, to see which of them it is`,
      )
    } else if (guilty !== undefined) {
      logger.error(`it was the thread of the function ${guilty.name} that the host died of`)
    }
    return common.length === 1
  }

  #wasSound(): boolean {
    const since = this.#listeningSince
    return since !== undefined && performance.now() - since > soundLifeMs
  }

  /** A host that does not listen for the signal yet would die of it. */
  #reload(): void {
    this.#isReloadDue = !this.#hasSpoken
    if (this.#hasSpoken) this.#host?.kill('SIGHUP')
  }

  #forward(signal: StopSignal, withinMs: number): void {
    const host = this.#host
    host?.kill(signal)
    setTimeout(() => host?.kill('SIGKILL'), withinMs).unref()
  }
}

function stoppedCode({ code, signal }: Ending, forwarded: StopSignal | undefined): number {
  if (signal === null) return code ?? 1
  // It did not listen for signals yet, and had opened nothing.
  return signal === forwarded ? 0 : signalExitCode(signal)
}

const isAtWork = ({ isBusy, isLoading, position }: FunctionVitals): boolean =>
  isLoading || (isBusy && position !== undefined)

function seenAtIt({ position: _, ...vitals }: FunctionVitals): FunctionVitals {
  return vitals
}
