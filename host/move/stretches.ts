// Reads stretches of partitions from one end to the other, and looks at the signal on the way.
import {
  type Batch,
  keyOf,
  type Log,
  type LogReader,
  type LogRecord,
  type TopicPartition,
} from '../log/log.js'
import { wakeOnAbort } from '../log/wake-on-abort.js'
import type { Patience } from './patience.js'

export interface Stretch extends TopicPartition {
  readonly from: number
  /** Behind its last record. */
  readonly to: number
}

export interface ReadingOptions {
  readonly log: Log
  /** What is read at a time; about three times as much is held. */
  readonly readBytes: number
  readonly patience: Patience
  readonly signal: AbortSignal
}

/**
 * Hands out what is read, several partitions side by side, each in order; the next is read meanwhile. False: it was told to stop
 * by what `take` returned.
 */
export async function readStretches(
  { log, readBytes, patience, signal }: ReadingOptions,
  stretches: readonly Stretch[],
  take: (batches: readonly Batch[]) => boolean | Promise<boolean>,
): Promise<boolean> {
  const open = new Map(
    stretches.filter(({ from, to }) => from < to).map((one) => [keyOf(one), one]),
  )
  if (open.size === 0) return true
  await using reader = log.reader({ maxBytes: readBytes })
  reader.assign(
    [...open.values()].map(({ topic, partition, from }) => ({ topic, partition, offset: from })),
  )
  using _ = wakeOnAbort(reader, signal)
  let reading = begun(reader, patience)
  while (open.size > 0) {
    const batches = await reading
    signal.throwIfAborted()
    for (const batch of batches) {
      const stretch = open.get(keyOf(batch))
      if (stretch === undefined || batch.next < stretch.to) continue
      open.delete(keyOf(batch))
      // Whatever comes behind it is not asked for.
      reader.pause(batch)
    }
    if (open.size > 0) reading = begun(reader, patience)
    if (batches.length > 0 && !(await take(batches))) return false
  }
  return true
}

function begun(reader: LogReader, patience: Patience): Promise<readonly Batch[]> {
  const reading = patience.ask(() => reader.next())
  // Looked at when it is its turn.
  reading.catch(() => {})
  return reading
}

/** The records of one stretch, a batch at a time. */
export async function* recordsOf(
  { log, readBytes, patience, signal }: ReadingOptions,
  { topic, partition, from, to }: Stretch,
): AsyncGenerator<readonly LogRecord[]> {
  if (from >= to) return
  await using reader = log.reader({ maxBytes: readBytes })
  using _ = wakeOnAbort(reader, signal)
  reader.assign([{ topic, partition, offset: from }])
  for (let next = from; next < to; ) {
    for (const batch of await patience.ask(() => reader.next())) {
      next = batch.next
      yield batch.records
    }
    signal.throwIfAborted()
  }
}
