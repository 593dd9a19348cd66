// Preloaded into every thread of a host (`--import`): tells the parent process, when it asks, what each thread holds.
import { readdirSync, readFileSync } from 'node:fs'
import { BroadcastChannel, isMainThread, parentPort, workerData } from 'node:worker_threads'

export type Counts = Readonly<Record<string, number>>

/** After a full garbage collection. */
export interface ThreadSample {
  /** The function that the thread runs; `main` for the main thread, `log` for that of the log. */
  readonly thread: string
  readonly heapBytes: number
  /** What keeps the event loop going: timers, handles, requests. */
  readonly resources: Counts
  /** By event, those on the process and on the thread's own port. */
  readonly listeners: Counts
}

export interface ProcessSample {
  readonly threads: readonly ThreadSample[]
  readonly rssBytes: number
  /** Without pages of files, which LevelDB maps and the system takes back at will; with what it has swapped out. */
  readonly anonymousBytes: number
  readonly osThreads: number
  readonly openFiles: number
}

const channel = new BroadcastChannel('millrace sampler')
channel.unref()

if (isMainThread) {
  process.on('message', (asked: readonly string[]) => {
    const threads = [sampleOf('main')]
    channel.onmessage = (event) => {
      threads.push((event as { data: ThreadSample }).data)
      if (threads.length > asked.length) process.send?.(ofProcess(threads))
    }
    channel.postMessage(asked)
  })
} else {
  // The log thread is told by what it is given: it has no name inside.
  const name: unknown = workerData?.bundle?.name ?? (workerData?.maintenance && 'log')
  channel.onmessage = (event) => {
    const { data } = event as { data: unknown }
    const isAsked = Array.isArray(data) && data.includes(name)
    if (isAsked && typeof name === 'string') channel.postMessage(sampleOf(name))
  }
}

function sampleOf(thread: string): ThreadSample {
  // Twice: what the first frees may have kept more alive by its finalizers.
  globalThis.gc?.()
  globalThis.gc?.()
  const listeners = [process, parentPort].flatMap((emitter) =>
    (emitter?.eventNames() ?? []).flatMap((event): string[] =>
      Array(emitter?.listenerCount(String(event))).fill(
        `${emitter === process ? 'process' : 'port'} ${String(event)}`,
      ),
    ),
  )
  return {
    thread,
    heapBytes: process.memoryUsage().heapUsed,
    resources: countsOf(process.getActiveResourcesInfo()),
    listeners: countsOf(listeners),
  }
}

function ofProcess(threads: readonly ThreadSample[]): ProcessSample {
  const status = readFileSync('/proc/self/status', 'utf8')
  const kilobytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return {
    threads,
    rssBytes: kilobytes('VmRSS') * 1024,
    anonymousBytes:
      ['RssAnon', 'RssShmem', 'VmSwap'].reduce((sum, field) => sum + kilobytes(field), 0) * 1024,
    osThreads: readdirSync('/proc/self/task').length,
    openFiles: readdirSync('/proc/self/fd').length,
  }
}

function countsOf(names: readonly string[]): Counts {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
