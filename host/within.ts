// Waits that end before what they wait for: after a time, or when somebody does not want it any more.
import { setMaxListeners } from 'node:events'

/** Whether it has settled, however, within so long. What it rejects with later is nobody's. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  const settled = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([settled, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Of a time, in how many parts it is waited for. */
const parts = 20

/**
 * Calls back when this process has been awake for so long: however long it is held up or frozen at once, that counts for a small part.
 * Returns what takes it back.
 */
export function whenAwakeFor(ms: number, callback: () => void): () => void {
  let left = parts
  let timer: NodeJS.Timeout
  const next = (): void => {
    timer = setTimeout(() => {
      left -= 1
      if (left === 0) callback()
      else next()
    }, ms / parts)
  }
  next()
  return () => clearTimeout(timer)
}

/** As the work; rejects with the signal's reason as soon as that is aborted. What the work rejects with later is nobody's. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => {}
  // Many may wait under one signal, and each stops listening: they are no leak.
  setMaxListeners(0, signal)
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
    work.catch(() => {})
  }
}
