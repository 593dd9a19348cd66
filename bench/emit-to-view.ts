// From an emit to its effect in the view of a host: POST, then GET with its token, one after another on one connection.
import type { Client } from './client.js'

/** A host's code is compiled as it is used: so many requests until they take no less any more; and then so many a run. */
export const [warmUp, measured, latencyKeys] = [3000, 1000, 50]

/** The milliseconds that each of so many clicks took, one after another. */
export function emitToView(client: Client): (stream: string, count: number) => Promise<number[]> {
  const counts = new Map<string, number>()
  const once = async (stream: string, n: number): Promise<number> => {
    const key = `user-${n % latencyKeys}`
    const right = (counts.get(key) ?? 0) + 1
    counts.set(key, right)
    const began = performance.now()
    const token = await client.emit(stream, key, { page: '/home' })
    const path = `/views/click-count/${key}?after=${encodeURIComponent(token)}`
    const { count } = await client.ask<{ count: number }>('GET', path)
    const took = performance.now() - began
    if (count !== right) throw new Error(`${key} was counted ${count} times, not ${right}`)
    return took
  }
  return async (stream, count) => {
    const times: number[] = []
    for (let n = 0; n < count; n += 1) times.push(await once(stream, n))
    return times
  }
}
