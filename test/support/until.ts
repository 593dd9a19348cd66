// Waits for a state that nobody announces.
import { setTimeout as pause } from 'node:timers/promises'

const limitMs = 60_000

/** Asks again and again until the answer is neither undefined nor false; fails with `what` after a minute, and what there is `instead`. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  instead?: () => string,
): Promise<T> {
  for (const start = Date.now(); Date.now() - start < limitMs; await pause(5)) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
  }
  const found = instead === undefined ? '' : `: ${instead()}`
  throw new Error(`waited ${limitMs} ms in vain until ${what}${found}`)
}
