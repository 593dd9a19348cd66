// Ends a reader's wait when a signal is aborted: whoever waits looks at the signal then.
import { setMaxListeners } from 'node:events'
import type { LogReader } from './log.js'

export function wakeOnAbort(reader: LogReader, signal: AbortSignal): Disposable {
  const stop = (): void => reader.wake()
  // All partitions of an assignment are read up side by side under one signal: they are no leak.
  setMaxListeners(0, signal)
  signal.addEventListener('abort', stop)
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) }
}
