// Some values of a partition, from all over its keys: enough to tell whether a codec takes what is stored.
import type { Entry, PartitionStore, RangeOptions } from './store.js'

export interface SampleLimits {
  readonly maxValues: number
  /** Of the values; the first one is taken whatever its size. */
  readonly maxBytes: number
}

export interface Sample extends Entry {
  readonly partition: number
}

/** Parts of the span between the first key and the last, each of which is read from its start. */
const stretches = 8
const cutBytes = 6

/** In no order. */
export async function samplePartition(
  store: PartitionStore,
  limits: SampleLimits,
): Promise<Entry[]> {
  const first = await head(store.range())
  const last = await head(store.range({ isReverse: true }))
  if (first === undefined || last === undefined) return []
  const cuts = cutsBetween(first.key, last.key)
  const found: Entry[] = []
  let bytes = 0
  /** Where a stretch that has more goes on; undefined: it was read to its end, or there is no room. */
  const read = async (range: RangeOptions, atMost: number): Promise<RangeOptions | undefined> => {
    let count = 0
    for await (const page of store.range(range)) {
      for (const entry of page) {
        if (count === atMost) return { ...range, from: entry.key }
        bytes += entry.value.length
        if (found.length > 0 && bytes > limits.maxBytes) return undefined
        found.push(entry)
        count += 1
      }
    }
    return undefined
  }
  const most = Math.ceil(limits.maxValues)
  const share = Math.max(1, Math.floor(most / cuts.length))
  const unfinished: RangeOptions[] = []
  for (const [index, from] of cuts.entries()) {
    const to = cuts[index + 1]
    const rest = await read(to === undefined ? { from } : { from, to }, share)
    if (rest !== undefined) unfinished.push(rest)
    if (found.length >= most || bytes > limits.maxBytes) break
  }
  // Keys crowd: what the empty stretches left is taken from the full ones.
  for (const rest of unfinished) {
    const room = most - found.length
    if (room <= 0 || bytes > limits.maxBytes) break
    await read(rest, room)
  }
  return found
}

async function head(range: AsyncIterable<Entry[]>): Promise<Entry | undefined> {
  for await (const [entry] of range) if (entry !== undefined) return entry
  return undefined
}

/** Keys at like distances from the first to the last, the first included; by the bytes behind what both begin with. */
function cutsBetween(first: Buffer, last: Buffer): Buffer[] {
  let same = 0
  while (same < first.length && first[same] === last[same]) same += 1
  const numberAt = (key: Buffer) => {
    const padded = Buffer.alloc(cutBytes)
    key.copy(padded, 0, same, same + cutBytes)
    return padded.readUIntBE(0, cutBytes)
  }
  const low = numberAt(first)
  const step = (numberAt(last) - low) / stretches
  const cuts = [first]
  for (let n = 1; n < stretches && step >= 1; n += 1) {
    const cut = Buffer.alloc(same + cutBytes)
    first.copy(cut, 0, 0, same)
    cut.writeUIntBE(Math.floor(low + n * step), same, cutBytes)
    cuts.push(cut)
  }
  return cuts
}
