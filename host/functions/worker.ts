// The entry of a function's thread: composes it with the log and the store that the host ships.
import { parentPort, workerData } from 'node:worker_threads'
import { attachLog } from '../log/open.js'
import { openLevelStore } from '../tables/level.js'
import { runFunctionThread } from './function-thread.js'

if (parentPort !== null) {
  await runFunctionThread(parentPort, workerData, {
    attachLog,
    openStore: (path) => openLevelStore({ path }),
  })
}
