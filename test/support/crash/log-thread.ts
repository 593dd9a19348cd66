// The entry of the log thread under test: the shipped database, with points around each write.
import { parentPort, workerData } from 'node:worker_threads'
import { openHandle } from '#host/log/embedded/database.js'
import { runLogThread } from '#host/log/embedded/log-thread.js'
import type { Asked, FromThread, ThreadData } from '#host/log/embedded/messages.js'
import { Failpoints } from './failpoints.js'
import { pointed } from './pointed.js'
import { relay } from './relay.js'
import { stepOf } from './written.js'

async function run(data: ThreadData): Promise<void> {
  if (parentPort === null) return
  const points = new Failpoints('log')
  const port = relay<Asked, FromThread>(data.port, {
    inward() {},
    // Published, so that others have read it perhaps, but who has asked for it does not know.
    outward(answers) {
      if (answers.some(({ kind }) => kind === 'bases')) points.pass('log/append:answering')
    },
    transfer: (asked) => {
      if (asked.kind === 'client') return [asked.port]
      return asked.kind === 'append' || asked.kind === 'commit' ? [asked.request] : []
    },
  })
  await runLogThread(
    parentPort,
    { ...data, port },
    {
      openDatabase: async (path) => {
        points.pass('log/open:before')
        const database = await openHandle(path)
        points.pass('log/open:after')
        return pointed(database, points, { name: stepOf })
      },
    },
  )
}

await run(workerData)
