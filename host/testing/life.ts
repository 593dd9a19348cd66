// One life of a process that can die between any two steps: what it had not brought to the log, or to its store, never gets there.
import { HostError } from '../errors.js'
import type {
  AppendOptions,
  Commit,
  CommitOutcome,
  Log,
  LogWriter,
  RecordToAppend,
} from '../log/log.js'
import { logClosed } from '../log/problems.js'
import type { PartitionStore, TableStore } from '../tables/store.js'
import { turn } from '../turn.js'

export class Life {
  #isOver = false
  #writes = 0

  get isOver(): boolean {
    return this.#isOver
  }

  /** No commit and no append is under way. */
  get isQuiet(): boolean {
    return this.#writes === 0
  }

  end(): void {
    this.#isOver = true
  }

  /** The log as this process has it. */
  log(log: Log): Log {
    return {
      describe: (names, options) => log.describe(names, options),
      topicId: (name) => log.topicId(name),
      endOfEpoch: (partition, epoch) => log.endOfEpoch(partition, epoch),
      offsetAt: (topic, time) => log.offsetAt(topic, time),
      ensure: (specs) => log.ensure(specs),
      remove: (names, options) => log.remove(names, options),
      committed: (group) => log.committed(group),
      append: (records, options) => this.#append(log, records, options),
      reader: (options) => log.reader(options),
      openWriter: async (...of) => this.#writer(await log.openWriter(...of)),
      join: (options) => log.join(options),
      share: () => log.share(),
      [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
    }
  }

  /** The store as this process has it; its content lives on. */
  store(store: TableStore): TableStore {
    return {
      partition: (number) => this.#partition(store.partition(number)),
      copy: (of) => this.#partition(store.copy(of)),
      copies: () => store.copies(),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    }
  }

  #writer(writer: LogWriter): LogWriter {
    return {
      positions: writer.positions,
      commit: (commit) => this.#commit(writer, commit),
      [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
    }
  }

  /** A turn before and one after it: so long it takes on any log, and so long it can be cut off. */
  async #commit(writer: LogWriter, commit: Commit): Promise<CommitOutcome> {
    this.#writes += 1
    try {
      await turn()
      if (this.#isOver) return { kind: 'fenced' }
      const outcome = await writer.commit(commit)
      await turn()
      return this.#isOver ? { kind: 'unknown', cause: logClosed() } : outcome
    } finally {
      this.#writes -= 1
    }
  }

  async #append(
    log: Log,
    records: readonly RecordToAppend[],
    options?: AppendOptions,
  ): Promise<readonly number[]> {
    this.#writes += 1
    try {
      await turn()
      if (this.#isOver) throw logClosed()
      const offsets = await log.append(records, options)
      await turn()
      return offsets
    } finally {
      this.#writes -= 1
    }
  }

  #partition(partition: PartitionStore): PartitionStore {
    return {
      get: (key) => partition.get(key),
      meta: () => partition.meta(),
      wipe: () => partition.wipe(),
      isThere: () => partition.isThere(),
      drop: async (signal) => {
        if (this.#isOver) throw new HostError('STORE_FAILED', 'the process has died')
        await partition.drop(signal)
      },
      range: (bounds) => partition.range(bounds),
      write: async (changes, meta) => {
        if (this.#isOver) throw new HostError('STORE_FAILED', 'the process has died')
        await partition.write(changes, meta)
      },
    }
  }
}
