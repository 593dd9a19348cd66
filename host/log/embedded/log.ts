// Opens the embedded log: claims the folder, starts the log thread, and stops all of it in the reverse order.
import { resolve } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { asHostError, fromPlainError, HostError } from '../../errors.js'
import type { LevelMemory } from '../../leveldb/handle.js'
import type { Log, LogDescription } from '../log.js'
import { EmbeddedLog } from './client.js'
import type { OwnedLog } from './contents.js'
import { closeOwned, type Database, openHandle, openOwned } from './database.js'
import { readDescription } from './description.js'
import { defaultMaintenance, type MaintenanceSettings } from './maintenance-settings.js'
import type { Control, Report, ThreadData } from './messages.js'
import { SharedEnds } from './shared-ends.js'

export interface EmbeddedLogOptions extends LevelMemory {
  /** The folder; made if it is missing. */
  readonly path: string
  /** What may wait to be written; appends are refused at half of it. Default 64 MiB. */
  readonly maxQueuedBytes?: number
  /** Default 8 MiB. */
  readonly maxRecordBytes?: number
  /** Whether each write waits for the disk: then a power cut loses nothing either. Default false. */
  readonly sync?: boolean
  /** Of all topics together. Default 16,384. */
  readonly maxPartitions?: number
  /** The module that the log thread runs: composes `runLogThread`. Default: as the host ships. */
  readonly threadEntry?: URL
  /** What is not given is as `defaultMaintenance` says. */
  readonly maintenance?: Partial<MaintenanceSettings> | null
  /** Something is wrong that does not keep the log from going on. */
  readonly onWarning?: (error: HostError) => void
  /** Of its disk, kept free: with less, appends and commits are refused with DISK_FULL. Default 0: not looked at. */
  readonly minFreeBytes?: number
  /** Told when that begins, and when there is room again. */
  readonly onDisk?: (problem: HostError | undefined) => void
  /** Called once, when the log has failed while it was open: it takes nothing any more. */
  readonly onFailure: (error: HostError) => void
}

/**
 * Opens the log for the process, in its main thread. Threads that opened it by `share()` have to close it before it is disposed of:
 * LevelDB's first handle has to go last.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<OwnedLog> {
  // Handles find each other by the literal path: two spellings would be two databases in one folder.
  const path = resolve(options.path)
  const ends = SharedEnds.create(options.maxPartitions ?? 16_384)
  const { port1, port2 } = new MessageChannel()
  const data: ThreadData = {
    path,
    memory: ends.memory,
    sync: options.sync ?? false,
    maintenance:
      options.maintenance === null ? null : { ...defaultMaintenance, ...options.maintenance },
    minFreeBytes: options.minFreeBytes ?? 0,
    port: port2,
  }
  const thread = new Worker(options.threadEntry ?? new URL('./thread.js', import.meta.url), {
    name: 'millrace log',
    workerData: data,
    transferList: [port2],
  })
  // Not by events.once: that rejects with an error that nobody may be waiting for yet.
  const exited = new Promise<void>((done) => thread.once('exit', () => done()))
  const ready = started(thread)
  // Looked at below, when there is a database to close.
  ready.catch(() => {})
  let database: Database
  try {
    // Meanwhile the thread starts; it opens its handle when this one, the first, is there.
    database = await openOwned(path, options)
  } catch (thrown) {
    await thread.terminate()
    throw thrown
  }
  let leaderEpoch: number
  try {
    const open: Control = { kind: 'open' }
    thread.postMessage(open)
    leaderEpoch = await ready
  } catch (thrown) {
    await exited
    await closeOwned(path, database, false)
    throw thrown
  }
  let isOver = false
  const lost = (cause: unknown): void => {
    if (isOver) return
    isOver = true
    ends.end('failed')
    options.onFailure(logFailed(cause))
  }
  thread.on('message', (report: Report) => {
    if (report.kind === 'failed') lost(fromPlainError(report.error, 'LOG_FAILED'))
    else if (report.kind === 'warned')
      options.onWarning?.(fromPlainError(report.error, 'LOG_FAILED'))
    else if (report.kind === 'disk') {
      options.onDisk?.(report.problem === null ? undefined : fromPlainError(report.problem))
    }
  })
  thread.on('error', lost)
  thread.on('exit', (code) => lost(new Error(`its thread ended with code ${code}`)))
  return new EmbeddedLog(
    {
      path,
      memory: ends.memory,
      port: port1,
      leaderEpoch,
      maxRecordBytes: options.maxRecordBytes ?? 8 * 1024 * 1024,
      maxQueuedBytes: options.maxQueuedBytes ?? 64 * 1024 * 1024,
    },
    database,
    async () => {
      const isWhole = !isOver
      isOver = true
      const close: Control = { kind: 'close' }
      thread.postMessage(close)
      await exited
      await closeOwned(path, database, isWhole)
    },
  )
}

/** Opens the log in another thread of the process, from what `share()` returned. */
export async function attachEmbeddedLog(description: LogDescription): Promise<Log> {
  const line = readDescription(description)
  const database = await openHandle(line.path)
  return new EmbeddedLog(line, database, async () => database.close())
}

async function started(thread: Worker): Promise<number> {
  const report = await new Promise<Report>((found, failed) => {
    thread.once('message', found)
    thread.once('error', (cause) => failed(logFailed(cause)))
    thread.once('exit', (code) => failed(logFailed(new Error(`its thread ended with ${code}`))))
  })
  if (report.kind === 'failed') throw fromPlainError(report.error, 'LOG_FAILED')
  if (report.kind === 'ready') return report.leaderEpoch
  throw new Error(`the log thread began with '${report.kind}'`)
}

const logFailed = (cause: unknown): HostError =>
  new HostError(
    'LOG_FAILED',
    `the log has failed (${asHostError(cause).message}): nothing is written any more; see to the disk and start the host anew`,
    { cause },
  )
