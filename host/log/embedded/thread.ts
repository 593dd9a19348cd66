// The entry of the log thread: composes it with the database that the host ships.
import { parentPort, workerData } from 'node:worker_threads'
import { openHandle } from './database.js'
import { runLogThread } from './log-thread.js'

if (parentPort !== null) await runLogThread(parentPort, workerData, { openDatabase: openHandle })
