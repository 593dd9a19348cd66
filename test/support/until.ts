// Waits for a state that nobody announces.
import { setTimeout as pause } from 'node:timers/promises'

const limitMs = 60_000

/** Soon at first; what takes seconds is asked for less often, since the asking takes a processor from what it waits for. */
const pauseAfter = (ms: number) => Math.min(5 + ms / 50, 25)

/** Asks again and again until the answer is neither undefined nor false; fails with `what` after a minute, and what there is `instead`. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  instead?: () => string,
): Promise<T> {
  const start = Date.now()
  for (let ms = 0; ms < limitMs; ms = Date.now() - start) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    await pause(pauseAfter(ms))
  }
  const found = instead === undefined ? '' : `: ${instead()}`
  throw new Error(`waited ${limitMs} ms in vain until ${what}${found}`)
}
