// What the log thread does: opens its handle, serves the ports it is given, and ends when it is told to or when a write fails.
import type { MessagePort } from 'node:worker_threads'
import { asHostError, HostError, toPlainError } from '../../errors.js'
import { type Database, damaged, isCorruption } from './database.js'
import { DiskSpace } from './disk-space.js'
import { LogService } from './log-service.js'
import { defaultMaintenance } from './maintenance-settings.js'
import type { Control, Report, ThreadData } from './messages.js'
import { Positions } from './positions.js'
import { SharedEnds } from './shared-ends.js'
import { Topics } from './topics.js'

/** What the thread's entry composes it with. */
export interface LogThreadPorts {
  openDatabase(path: string): Promise<Database>
}

/** `parent` leads to the main thread, as the one that starts and ends it. */
export async function runLogThread(
  parent: MessagePort,
  { path, memory, sync, minFreeBytes, maintenance, port }: ThreadData,
  { openDatabase }: LogThreadPorts,
): Promise<void> {
  const ends = new SharedEnds(memory)
  const report = (message: Report): void => parent.postMessage(message)
  // The main thread has its handle then: who opens a shared database first has to close it last.
  await new Promise((told) => parent.once('message', told))
  const database = await openDatabase(path)
  const loaded = await load(database, ends, sync).catch(async (thrown: unknown) => {
    // A thread that ends without it leaves the folder locked.
    await database.close()
    return isCorruption(thrown) ? damaged(path, thrown) : asHostError(thrown, 'LOG_FAILED')
  })
  if (loaded instanceof HostError) {
    report({ kind: 'failed', error: toPlainError(loaded) })
    return
  }
  const { topics, positions } = loaded
  const end = async (state: 'failed' | 'closed'): Promise<void> => {
    // Before the ports close: a client that loses its port asks for the reason.
    ends.end(state)
    disk[Symbol.dispose]()
    service.hangUp()
    await database.close()
    parent.close()
  }
  const disk = new DiskSpace({
    path,
    minFreeBytes,
    changed: (problem) => report({ kind: 'disk', problem: problem ? toPlainError(problem) : null }),
  })
  const service = new LogService(
    {
      database,
      topics,
      positions,
      ends,
      sync,
      disk,
      maintenance: maintenance ?? defaultMaintenance,
      now: Date.now,
    },
    {
      failed: (cause) => {
        report({ kind: 'failed', error: toPlainError(asHostError(cause, 'LOG_FAILED')) })
        void end('failed')
      },
      warned: (problem) => {
        report({ kind: 'warned', error: toPlainError(asHostError(problem, 'LOG_FAILED')) })
      },
    },
  )
  parent.on('message', (message: Control) => {
    if (message.kind === 'close') void service.close().then(async () => end('closed'))
  })
  await service.finishRemovals()
  service.serve(port)
  report({ kind: 'ready', leaderEpoch: topics.leaderEpoch })
  if (maintenance !== null) service.start()
}

async function load(
  database: Database,
  ends: SharedEnds,
  sync: boolean,
): Promise<{ topics: Topics; positions: Positions }> {
  const topics = await Topics.load(database, ends, sync)
  return { topics, positions: await Positions.load(database) }
}
