// Waits for a state that nobody announces.
import { setTimeout as pause } from 'node:timers/promises'

const limitMs = 60_000

/** Asks again and again until the answer is neither undefined nor false; fails with `what` after a minute. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (const start = Date.now(); Date.now() - start < limitMs; await pause(5)) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
  }
  throw new Error(`waited ${limitMs} ms in vain until ${what}`)
}
