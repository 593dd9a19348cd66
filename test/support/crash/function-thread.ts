// The entry of a function's thread under test: the shipped log and store, with points around them.
import { parentPort, workerData } from 'node:worker_threads'
import { runFunctionThread } from '#host/functions/function-thread.js'
import type { FromWorker, ToWorker, WorkerStart } from '#host/functions/messages.js'
import type { Log, LogReader, LogWriter } from '#host/log/log.js'
import { attachLog } from '#host/log/open.js'
import { Failpoints } from './failpoints.js'
import { pointed } from './pointed.js'
import { openPointedStore } from './pointed-store.js'
import { relay } from './relay.js'

/** What the thread is at, as far as its messages tell: part of each point's name. */
type Phase = 'recover' | 'run' | 'swap' | 'drain'

function run(start: WorkerStart): void {
  if (parentPort === null) return
  const points = new Failpoints(start.bundle.name)
  const recovering = new Set<number>()
  let isAssigned = false
  let order: Phase | undefined
  const phase = (): Phase => order ?? (isAssigned && recovering.size === 0 ? 'run' : 'recover')

  const port = relay<ToWorker, FromWorker>(parentPort, {
    inward(message) {
      const { kind } = message
      // What it says itself of them comes through later than it begins.
      if (kind === 'assign') {
        isAssigned = true
        for (const partition of message.partitions) {
          if (!message.kept.includes(partition)) recovering.add(partition)
        }
      }
      if (kind !== 'swap' && kind !== 'drain') return
      points.pass(`${kind}:ordered`)
      order = kind
    },
    outward(message) {
      if (message.kind === 'recovering') recovering.add(message.partition)
      if (message.kind === 'running') recovering.delete(message.partition)
      if (message.kind !== 'reply') return
      if (order !== undefined) points.pass(`${order}:answering`)
      order = undefined
    },
  })

  const step = (names: Readonly<Record<string, string>>) => (method: string) => {
    const name = names[method]
    return name === undefined ? undefined : `${phase()}/${name}`
  }
  const writer = (of: LogWriter) => pointed(of, points, { name: step({ commit: 'commit' }) })
  const reader = (of: LogReader) => pointed(of, points, { name: step({ next: 'read' }) })
  const log = (of: Log) =>
    pointed(of, points, {
      name: step({
        describe: 'describe',
        endOfEpoch: 'epoch',
        openWriter: 'fence',
        append: 'append',
      }),
      wrap: (method, result) => {
        if (method === 'openWriter') return writer(result as LogWriter)
        return method === 'reader' ? reader(result as LogReader) : result
      },
    })

  const ports = pointed(
    {
      attachLog: async (description: WorkerStart['log']) => log(await attachLog(description)),
      openStore: (path: string) => openPointedStore(path, points, phase),
    },
    points,
    { name: (method) => (method === 'attachLog' ? 'thread/log' : 'thread/store') },
  )
  void runFunctionThread(port, start, ports)
}

run(workerData)
