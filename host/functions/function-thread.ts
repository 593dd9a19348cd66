// What a function's thread does: loads the user's bundle and runs the function's tasks over it, on orders of the main thread.
import type { MessagePort } from 'node:worker_threads'
import type { Store } from '../../sdk/store.js'
import { asHostError, toPlainError } from '../errors.js'
import type { Log, LogDescription } from '../log/log.js'
import { systemClock } from '../processor/clock.js'
import type { UserLog } from '../processor/context.js'
import { Group, type HaltReason } from '../processor/group.js'
import { createProgram, type Program, type RunnableDefinition } from '../processor/program.js'
import { Progress } from '../processor/progress.js'
import type { RecordFailure } from '../processor/runner.js'
import { createRuntime, type Runtime, swapRuntime } from '../processor/runtime.js'
import { userLog } from '../processor/user-log.js'
import { ViewGroup } from '../processor/view-group.js'
import {
  createViewProgram,
  type RecordAt,
  type RunnableView,
  type ViewProgram,
} from '../processor/view-program.js'
import { visitArgument } from '../processor/visit.js'
import { createMemoryStore } from '../tables/memory.js'
import { openOwnStore } from '../tables/own.js'
import type { TableStore } from '../tables/store.js'
import { createTableView } from '../tables/view.js'
import { isView } from './definition.js'
import { type LoadedBundle, loadBundle } from './load.js'
import type {
  FromWorker,
  LogLevel,
  RecordPlace,
  ToWorker,
  Version,
  WorkerStart,
} from './messages.js'
import { NotedInputs } from './noted-inputs.js'
import { serveView } from './remote-view.js'
import type { StoreStart } from './store-kind.js'

/** What the thread's entry composes it with. */
export interface FunctionThreadPorts {
  attachLog(description: LogDescription): Promise<Log>
  openStore(path: string): Promise<TableStore>
}

interface Loaded {
  readonly bundle: LoadedBundle
  readonly program: Program | ViewProgram
}

/** `port` leads to the main thread. */
export async function runFunctionThread(
  port: MessagePort,
  start: WorkerStart,
  ports: FunctionThreadPorts,
): Promise<void> {
  const thread = new FunctionThread(port, start, ports)
  try {
    await thread.run()
  } catch (error) {
    port.postMessage({ kind: 'unstartable', error: toPlainError(error) } satisfies FromWorker)
    await thread.close()
    port.close()
  }
}

const longestRefreshMs = 60 * 60 * 1000

class FunctionThread {
  readonly #port: MessagePort
  readonly #start: WorkerStart
  readonly #ports: FunctionThreadPorts
  #loaded: Loaded | undefined
  #log: Log | undefined
  #store: TableStore | null = null
  #group: Runtime | undefined
  /** What the main thread has to have heard before it is done. */
  readonly #unheard = new Map<number, () => void>()
  #lastId = 0
  /** Settles when the caller of a visit has been told. */
  #visiting: Promise<unknown> = Promise.resolve()

  constructor(port: MessagePort, start: WorkerStart, ports: FunctionThreadPorts) {
    this.#port = port
    this.#start = start
    this.#ports = ports
  }

  async run(): Promise<void> {
    const { log, store, notesPath, settings, progress, edges } = this.#start
    this.#loaded = this.#load(this.#start)
    const attached = await this.#ports.attachLog(log)
    this.#log = attached
    if (store !== null) await this.#openStore(store)
    this.#group = createRuntime({
      log: attached,
      store: this.#store,
      notes: new NotedInputs(notesPath, log.kind),
      program: this.#loaded.program,
      progress: new Progress(progress, edges.inputs.length),
      flush: settings.flush,
      cacheBytes: settings.cacheBytes,
      maxRecordBytes: settings.maxRecordBytes,
      attemptGraceMs: settings.attemptGraceMs,
      tombstoneRetentionMs: settings.tombstoneRetentionMs,
      cleanupDelayMs: settings.cleanupDelayMs,
      // Well within the tenth that recovery leaves for clocks that differ.
      refreshMs: Math.min(settings.tombstoneRetentionMs / 20, longestRefreshMs),
      clock: systemClock,
      events: {
        recovering: (partition) => this.#say({ kind: 'recovering', partition }),
        progressed: (partition, next, end) =>
          this.#say({ kind: 'progressed', partition, next, end }),
        recovered: (partition, records, from) =>
          this.#write('debug', 'its table was brought up', { partition, records, from }),
        running: (partition) => this.#say({ kind: 'running', partition }),
        fenced: (partition) => this.#say({ kind: 'fenced', partition }),
        resumed: () => this.#say({ kind: 'resumed' }),
        halted: (reason) =>
          this.#say({ kind: 'halted', error: reason.error, place: placeOf(reason) }),
        skipped: (failure) =>
          this.#say({ kind: 'skipped', error: failure.error, place: placeOf(failure) }),
        detached: (partition, cause) =>
          this.#say({ kind: 'detached', partition, error: toPlainError(cause) }),
        outdated: (error) => this.#say({ kind: 'outdated', error: toPlainError(error) }),
        standby: (partition, state) => this.#say({ kind: 'standby', partition, state }),
        wiping: (partition) => this.#wiping(partition),
        dropped: (partition) =>
          this.#write('info', 'its table is deleted here: others have had it for long', {
            partition,
          }),
        cutOff: (error) => this.#say({ kind: 'cutOff', isCutOff: error !== undefined }),
        waiting: (whatFor) => this.#say({ kind: 'waiting', whatFor }),
        warned: (message, fields) => this.#write('warn', message, fields),
        log: (at) => this.#userLog(at),
      },
    })
    this.#port.on('message', (message: ToWorker) => void this.#obey(message))
    if (this.#start.isPaused) await this.#group.pause()
    // What it is to open may have changed since it was started: it is told now.
    this.#say({ kind: 'listening' })
    await this.#group.start()
  }

  async #openStore(start: StoreStart): Promise<void> {
    const store = await this.#storeOf(start)
    this.#store = store
    const { view, edges } = this.#start
    if (view !== undefined) serveView(view, createTableView(store, edges.partitions))
  }

  async #storeOf(start: StoreStart): Promise<TableStore> {
    switch (start.kind) {
      case 'level':
        return await this.#ports.openStore(start.path)
      case 'memory':
        return createMemoryStore()
      case 'own': {
        const { function: name, folder } = start
        // The probe has checked that it is one.
        const definition = this.#loaded?.bundle.definition as { readonly store: Store }
        return await openOwnStore(definition.store, { function: name, folder })
      }
    }
  }

  async #obey(message: ToWorker): Promise<void> {
    if (message.kind === 'visit') {
      this.#visiting = this.#visit(message)
      return
    }
    if (message.kind === 'heard') {
      this.#unheard.get(message.id)?.()
      this.#unheard.delete(message.id)
      return
    }
    try {
      if (message.kind === 'swap') await this.#swap(message.version)
      else if (message.kind === 'pause') await this.#group?.pause()
      else if (message.kind === 'resume') this.#group?.resume()
      else if (message.kind === 'revoke') await this.#tasks.revoke(message)
      else if (message.kind === 'assign') {
        const goOn = await this.#group?.assign(message)
        // First: what goes on may not let anything else through for a while.
        this.#say({ kind: 'reply', id: message.id })
        goOn?.()
        return
      } else if (message.kind === 'ready') await this.#processor?.ready()
      else if (message.kind === 'endVisit') await this.#processor?.endVisit(message.why)
      else if (message.kind === 'evict') await this.#evict(message)
      else {
        await this.close()
        await this.#visiting
      }
      this.#say({ kind: 'reply', id: message.id })
      if (message.kind === 'drain') this.#port.close()
    } catch (error) {
      this.#say({ kind: 'reply', id: message.id, error: toPlainError(error) })
    }
  }

  /** Never rejects. */
  async #visit(of: Extract<ToWorker, { kind: 'visit' }>): Promise<void> {
    const { id, visitor, isCounted, partitions } = of
    try {
      const report = await this.#processor?.visit({
        visitor,
        argument: visitArgument(of.argument),
        isCounted,
        ...(partitions === undefined ? {} : { partitions }),
        progressed: (progress) => this.#say({ kind: 'visiting', progress }),
      })
      this.#say({ kind: 'reply', id, report })
    } catch (error) {
      this.#say({ kind: 'reply', id, error: toPlainError(error) })
    }
  }

  async #wiping(partition: number): Promise<void> {
    this.#lastId += 1
    const id = this.#lastId
    const heard = new Promise<void>((resolve) => this.#unheard.set(id, resolve))
    this.#say({ kind: 'wiping', id, partition })
    await heard
  }

  /** Of a view nothing is shared out. */
  get #tasks(): Group {
    const group = this.#processor
    if (group === undefined) throw new TypeError('a view is alone in its group')
    return group
  }

  /** Views have no visitors. */
  get #processor(): Group | undefined {
    return this.#group instanceof Group ? this.#group : undefined
  }

  async #evict({ partition, key }: Extract<ToWorker, { kind: 'evict' }>): Promise<void> {
    if (this.#group instanceof ViewGroup) await this.#group.evict(partition, Buffer.from(key))
  }

  #load(version: Version): Loaded {
    const { attempts } = version.options.retry
    return load(version, {
      log: (at) => this.#userLog(at),
      retrying: (failure, pauseMs) => {
        const { error, ...place } = failure
        this.#say({ kind: 'retrying', error, place, of: attempts, pauseMs })
      },
    })
  }

  async #swap(version: Version): Promise<void> {
    // Loaded beside the running version: if that throws, nothing has changed.
    const next = this.#load(version)
    if (this.#group !== undefined) await swapRuntime(this.#group, next.program)
    this.#loaded?.bundle.dispose()
    this.#loaded = next
  }

  /** Ends everything that was opened, in the reverse order. */
  async close(): Promise<void> {
    await this.#group?.drain()
    this.#start.view?.close()
    try {
      // Before the bundle's timers end: it may be code of that.
      await this.#store?.[Symbol.asyncDispose]()
    } finally {
      this.#loaded?.bundle.dispose()
    }
    await this.#log?.[Symbol.asyncDispose]()
  }

  #userLog({ key, stream, partition, offset }: RecordAt): UserLog {
    return userLog((level, message, fields) =>
      this.#write(level, message, { ...fields, key, stream, partition, offset }),
    )
  }

  #write(level: LogLevel, message: string, fields: Record<string, unknown>): void {
    this.#say({ kind: 'log', level, message, fields: toJson(fields) })
  }

  #say(message: FromWorker): void {
    this.#port.postMessage(message)
  }
}

interface Told {
  log(at: RecordAt): UserLog
  retrying(failure: RecordFailure, pauseMs: number): void
}

function load(of: Version, { log, retrying }: Told): Loaded {
  const bundle = loadBundle(of.bundle)
  const { edges, options } = of
  const { version } = of.bundle
  try {
    const { definition } = bundle
    // The probe has checked the shape of this very bundle.
    const program = isView(definition)
      ? createViewProgram({ definition: definition as RunnableView, edges, version, log })
      : createProgram(definition as RunnableDefinition, edges, options, version, retrying)
    return { bundle, program }
  } catch (error) {
    bundle.dispose()
    throw error
  }
}

function placeOf(reason: HaltReason): RecordPlace {
  const { error: _, ...place } = reason
  return place
}

const plainError = ({ name, message, stack, cause }: Error) => ({
  type: name,
  message,
  ...(stack === undefined ? {} : { stack }),
  ...(cause === undefined ? {} : { cause }),
})

// A log line's fields are the user's: whatever they are, they must not fail the handler.
function toJson(fields: Record<string, unknown>): string {
  try {
    const text: string | undefined = JSON.stringify(fields, (_, value: unknown) => {
      if (value instanceof Error) return plainError(value)
      return typeof value === 'bigint' ? String(value) : value
    })
    // A `toJSON` of their own may say that there is nothing.
    return text ?? '{}'
  } catch (error) {
    return JSON.stringify({ unprintable: asHostError(error).message })
  }
}
