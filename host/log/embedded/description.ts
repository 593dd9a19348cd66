// What another thread of the process needs to open the same log.
import { MessagePort } from 'node:worker_threads'
import type { LogDescription } from '../log.js'

export interface Description {
  readonly path: string
  readonly memory: SharedArrayBuffer
  readonly port: MessagePort
  readonly leaderEpoch: number
  readonly maxRecordBytes: number
  readonly maxQueuedBytes: number
}

export const describeLine = (description: Description): LogDescription => ({
  kind: 'embedded',
  ...description,
})

export function readDescription(description: LogDescription): Description {
  const { path, memory, port, leaderEpoch, maxRecordBytes, maxQueuedBytes } = description
  if (
    typeof path !== 'string' ||
    !(memory instanceof SharedArrayBuffer) ||
    !(port instanceof MessagePort) ||
    typeof leaderEpoch !== 'number' ||
    typeof maxRecordBytes !== 'number' ||
    typeof maxQueuedBytes !== 'number'
  ) {
    throw new TypeError('this describes no embedded log: pass what share() returned, once')
  }
  return { path, memory, port, leaderEpoch, maxRecordBytes, maxQueuedBytes }
}
