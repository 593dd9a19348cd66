// Ends a reader's wait when a signal is aborted: whoever waits looks at the signal then.
import type { LogReader } from './log.js'

export function wakeOnAbort(reader: LogReader, signal: AbortSignal): Disposable {
  const stop = (): void => reader.wake()
  signal.addEventListener('abort', stop)
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) }
}
