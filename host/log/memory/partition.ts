// One partition of the memory log: records, offsets without records, and transactions that others have open.
import type { Ends } from '../assigned-reader.js'
import type { LogRecord, RecordToAppend } from '../log.js'
import { PackedRecord } from '../packed-record.js'

interface Hold {
  readonly from: number
}

const emptyBytes = Buffer.alloc(0)

export class MemoryPartition {
  readonly records: LogRecord[] = []
  /** Where each epoch began; the first is 1. */
  readonly #epochs = [{ epoch: 1, start: 0 }]
  /** Batches without records: where they begin and end. */
  readonly #empty = new Map<number, number>()
  readonly #holds = new Set<Hold>()
  #oldest = 0
  #end = 0

  get leaderEpoch(): number {
    return this.#epochs.at(-1)?.epoch ?? 1
  }

  ends(): Ends {
    let stableEnd = this.#end
    for (const { from } of this.#holds) stableEnd = Math.min(stableEnd, from)
    return { oldest: this.#oldest, stableEnd, end: this.#end }
  }

  append({ key, value, timestamp, headers }: RecordToAppend): LogRecord {
    // Copies, as any other log makes: the caller may use its buffers again.
    const bytes = Buffer.concat([key ?? emptyBytes, value ?? emptyBytes])
    const record = new PackedRecord(
      bytes,
      this.#end++,
      timestamp,
      {
        keyAt: 0,
        keyEnd: key?.length ?? 0,
        valueAt: key?.length ?? 0,
        end: bytes.length,
        isKeyless: key === null,
        isTombstone: value === null,
      },
      headers?.map(([name, content]) => [name, Buffer.from(content)]),
    )
    this.records.push(record)
    return record
  }

  skip(offsets: number): void {
    this.#end += offsets
  }

  addEmptyBatch(offsets: number): void {
    this.#empty.set(this.#end, this.#end + offsets)
    this.#end += offsets
  }

  /** A transaction begins; the function returned ends it. */
  hold(): () => void {
    const hold = { from: this.#end++ }
    this.#holds.add(hold)
    return () => {
      // Its end is a record of its own.
      if (this.#holds.delete(hold)) this.#end++
    }
  }

  /** From a position up to the stable end. */
  read(
    position: number,
    maxBytes: number,
  ): { records: LogRecord[]; next: number; leaderEpoch: number } {
    const { stableEnd } = this.ends()
    const leaderEpoch = this.#epochs.findLast(({ start }) => start <= position)?.epoch ?? 1
    const next = this.#epochs.find(({ start }) => start > position)?.start ?? stableEnd
    const end = Math.min(stableEnd, next)
    const empty = this.#empty.get(position)
    if (empty !== undefined) return { records: [], next: Math.min(empty, end), leaderEpoch }
    const until = Math.min(end, ...[...this.#empty.keys()].filter((at) => at > position))
    const records: LogRecord[] = []
    let bytes = 0
    for (let i = this.#indexOf(position); i < this.records.length; i++) {
      const record = this.records[i]
      if (record === undefined || record.offset >= until) break
      if (bytes >= maxBytes) return { records, next: record.offset, leaderEpoch }
      records.push(record)
      bytes += 20 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
    }
    return { records, next: until, leaderEpoch }
  }

  offsetAt(time: number): number {
    const { stableEnd } = this.ends()
    const found = this.records.find(({ timestamp }) => timestamp >= time)
    return found === undefined || found.offset > stableEnd ? stableEnd : found.offset
  }

  endOfEpoch(epoch: number): { leaderEpoch: number; end: number } {
    const later = this.#epochs.find((found) => found.epoch > epoch)
    const known = this.#epochs.findLast((found) => found.epoch <= epoch)
    // As Kafka answers for what is older than all that it knows.
    return { leaderEpoch: known?.epoch ?? epoch, end: later?.start ?? this.#end }
  }

  /** Another one leads from here on; nothing is lost. */
  elect(): void {
    const epoch = this.leaderEpoch + 1
    // Of one in which nothing was written nobody knows any more.
    while ((this.#epochs.at(-1)?.start ?? -1) >= this.#end) this.#epochs.pop()
    this.#epochs.push({ epoch, start: this.#end })
  }

  /** What lies before the offset expires. */
  trim(before: number): void {
    this.#oldest = Math.min(Math.max(this.#oldest, before), this.#end)
    this.records.splice(0, this.#indexOf(this.#oldest))
  }

  expire(olderThan: number): void {
    const kept = this.records.find(({ timestamp }) => timestamp >= olderThan)
    this.trim(kept?.offset ?? this.ends().stableEnd)
  }

  /** What lies from the offset on is lost, as when a broker that lags behind becomes the leader. */
  truncate(end: number): void {
    if (end >= this.#end) return
    this.records.splice(this.#indexOf(end))
    this.#end = end
    for (const hold of this.#holds) if (hold.from >= end) this.#holds.delete(hold)
    for (const at of this.#empty.keys()) if (at >= end) this.#empty.delete(at)
    this.elect()
  }

  /** Of the first record at the offset or behind it. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.records[middle]?.offset ?? offset) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
