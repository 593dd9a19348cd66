// The input of the counting figures: the same events for the same number of keys, in every run.

export interface Event {
  readonly key: string
  /** JSON of about 90 bytes. */
  readonly value: string
}

export function* makeEvents(count: number, keys: number): Generator<Event> {
  let state = 42
  for (let n = 0; n < count; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const key = `user-${Math.floor((state / 2 ** 32) * keys)}`
    yield {
      key,
      value: `{"page":"/products/${state % 5000}","referrer":"search","session":"s-${state}","at":${1_700_000_000_000 + n}}`,
    }
  }
}

export function countByKey(events: Iterable<Event>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { key } of events) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

export function* chunks<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let chunk: Item[] = []
  for (const item of items) {
    chunk.push(item)
    if (chunk.length < size) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}
