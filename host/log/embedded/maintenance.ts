// When what of the log is maintained: streams at intervals, tables when enough of them is new; one partition after the other.
import { HostError } from '../../errors.js'
import { compact } from './compaction.js'
import { isCorruption } from './database.js'
import { entryKey } from './layout.js'
import type { LogEvents } from './log-service.js'
import type { MaintenanceSettings } from './maintenance-settings.js'
import { expire } from './retention.js'
import type { Partition, Topics } from './topics.js'
import type { Upkeep } from './upkeep.js'

/** Deleted bytes for which LevelDB is asked at the next look to give back their room, and those for which it is asked at once. */
const FREED_BYTES = 8 * 1024 * 1024
const MUCH_FREED_BYTES = 256 * 1024 * 1024
/** A table whose deletions expire is gone through so often while they are kept, at most. */
const PASSES = 4

export class Maintenance {
  readonly #upkeep: Upkeep
  readonly #topics: Topics
  readonly #settings: MaintenanceSettings
  readonly #events: LogEvents
  readonly #due = new Set<Partition>()
  /** Told once, and left alone. */
  readonly #damaged = new WeakSet<Partition>()
  readonly #compactedAt = new WeakMap<Partition, number>()
  readonly #freed = new Set<Partition>()
  #freedBytes = 0
  #givingBack: Promise<void> | undefined
  #isSweepDue = true
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(upkeep: Upkeep, topics: Topics, settings: MaintenanceSettings, events: LogEvents) {
    this.#upkeep = upkeep
    this.#topics = topics
    this.#settings = settings
    this.#events = events
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#isSweepDue = true
      this.#kick()
    }, this.#settings.intervalMs)
    this.#kick()
  }

  /** What is under way ends at its next step, whole. */
  async stop(): Promise<void> {
    this.#upkeep.stop()
    clearInterval(this.#timer)
    await this.#running
    await this.#givingBack
  }

  /** On the way of every write: does nothing but mark. */
  written(partition: Partition): void {
    if (partition.topic.kind !== 'table' || !this.#isDirty(partition)) return
    this.#due.add(partition)
    if (this.#timer !== undefined) this.#kick()
  }

  #isDirty({ bytes, cleaned }: Partition): boolean {
    const { minBytes, dirtyRatio } = this.#settings.compaction
    const dirty = bytes - cleaned.behind
    return dirty >= minBytes && dirty >= dirtyRatio * (cleaned.bytes + dirty)
  }

  #hasExpired(partition: Partition): boolean {
    const { tombstoneRetentionMs } = this.#settings
    const { tombstoneAt } = partition.cleaned
    const now = this.#upkeep.now()
    return (
      tombstoneAt > 0 &&
      now - tombstoneAt >= tombstoneRetentionMs &&
      now - (this.#compactedAt.get(partition) ?? 0) >= tombstoneRetentionMs / PASSES
    )
  }

  #kick(): void {
    if (this.#running !== undefined || this.#upkeep.isStopping()) return
    this.#running = this.#run()
      .catch((thrown: unknown) => this.#events.failed(thrown))
      .finally(() => {
        this.#running = undefined
      })
  }

  async #run(): Promise<void> {
    while (!this.#upkeep.isStopping()) {
      const [partition] = this.#due
      if (partition !== undefined) {
        this.#due.delete(partition)
        // Marked by a write during the pass before, perhaps, which took that along.
        if (this.#isDirty(partition) || this.#hasExpired(partition)) await this.#maintain(partition)
      } else if (this.#isSweepDue) {
        this.#isSweepDue = false
        await this.#sweep()
      } else break
    }
  }

  async #sweep(): Promise<void> {
    for (const partition of this.#topics.partitions()) {
      if (this.#upkeep.isStopping()) return
      if (partition.topic.kind === 'stream') await this.#maintain(partition)
      else if (this.#isDirty(partition) || this.#hasExpired(partition)) this.#due.add(partition)
    }
    if (this.#freedBytes >= FREED_BYTES && this.#due.size === 0) this.#giveBack()
  }

  async #maintain(partition: Partition): Promise<void> {
    if (this.#damaged.has(partition) || !this.#upkeep.isThere(partition)) return
    try {
      const freed = await (partition.topic.kind === 'stream'
        ? this.#expire(partition)
        : this.#compact(partition))
      if (freed > 0) this.#freed.add(partition)
      this.#freedBytes += freed
      if (this.#freedBytes >= MUCH_FREED_BYTES) this.#giveBack()
    } catch (thrown) {
      const isDamaged = thrown instanceof HostError && thrown.code === 'LOG_DAMAGED'
      if (!isDamaged && !isCorruption(thrown)) throw thrown
      // Its entries go while it is looked at.
      if (!this.#upkeep.isThere(partition)) return
      this.#damaged.add(partition)
      this.#events.warned(thrown)
    }
  }

  async #expire(partition: Partition): Promise<number> {
    const { retentionMs, retentionBytes } = this.#settings
    return expire(this.#upkeep, partition, {
      retentionMs: partition.topic.retentionMs ?? retentionMs,
      retentionBytes,
    })
  }

  async #compact(partition: Partition): Promise<number> {
    // It writes before it deletes; the next look finds it still due.
    if (this.#upkeep.isFull()) return 0
    const { tombstoneRetentionMs, compaction } = this.#settings
    const before = partition.cleaned
    this.#compactedAt.set(partition, this.#upkeep.now())
    await compact(this.#upkeep, partition, {
      tombstoneRetentionMs,
      keyBytes: compaction.keyBytes,
    })
    const { cleaned } = partition
    // What did not fit into memory. The last entry stays as it is, however large: it makes nothing due.
    if (cleaned.end > before.end && this.#isDirty(partition)) this.#due.add(partition)
    return before.bytes + (cleaned.behind - before.behind) - cleaned.bytes
  }

  /** LevelDB keeps what was deleted until it compacts its files there: it does so by itself while it is written to. */
  #giveBack(): void {
    if (this.#givingBack !== undefined || this.#upkeep.isStopping()) return
    const ranges = [...this.#freed]
    this.#freed.clear()
    this.#freedBytes = 0
    this.#givingBack = this.#compactFiles(ranges)
      // Nothing is lost but room; a write that fails tells what is the matter.
      .catch((thrown: unknown) => this.#events.warned(thrown))
      .finally(() => {
        this.#givingBack = undefined
      })
  }

  async #compactFiles(partitions: readonly Partition[]): Promise<void> {
    for (const { topic, partition, cleaned, oldest } of partitions) {
      if (this.#upkeep.isStopping()) return
      const end = topic.kind === 'stream' ? oldest : cleaned.end
      const [first, behind] = [0, end].map((at) => entryKey(topic.number, partition, at))
      if (first !== undefined && behind !== undefined) {
        await this.#upkeep.database.compactRange(first, behind)
      }
    }
  }
}
