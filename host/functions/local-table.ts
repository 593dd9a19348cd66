// The main thread's hold on a function's table in LevelDB: opened before any thread opens it, closed after, and known while it is closed.
import { asHostError, HostError } from '../errors.js'
import { inspectDatabase } from '../leveldb/inspect.js'
import { storeDamaged } from '../tables/damage.js'
import type { Entry, PartitionMeta, TableStore } from '../tables/store.js'
import { createTableView, type TableView } from '../tables/view.js'
import { closedTable } from './closed-table.js'
import type { HeldTable, HeldTableOptions } from './held-table.js'
import type { WorkerStart } from './messages.js'
import { setAside } from './set-aside.js'

interface Opened {
  readonly store: TableStore
  readonly view: TableView
  /** Told once, however many reads meet it before it is closed. */
  isDamaged: boolean
}

export class LocalTable implements HeldTable {
  /** Reads reject with RECOVERING while the table is closed. */
  readonly view: TableView
  readonly #options: HeldTableOptions
  #opened: Opened | undefined
  /** Why what lies in the folder cannot be used. */
  #damage: unknown
  /** Opening and closing take turns. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: HeldTableOptions) {
    this.#options = options
    this.view = {
      get: (partition, key) => {
        const opened = this.#reading()
        try {
          return opened.view.get(partition, key)
        } catch (error) {
          throw this.#noticed(opened, error)
        }
      },
      range: (range) => {
        const opened = this.#reading()
        const pages = opened.view.range(range)[Symbol.asyncIterator]()
        const next = () =>
          pages.next().catch((error: unknown) => {
            throw this.#noticed(opened, error)
          })
        const made: AsyncIterableIterator<Entry[]> = {
          next,
          return: async () => (await pages.return?.()) ?? { done: true, value: undefined },
          [Symbol.asyncIterator]: () => made,
        }
        return made
      },
      sample: async (limits) => {
        const opened = this.#reading()
        try {
          return await opened.view.sample(limits)
        } catch (error) {
          throw this.#noticed(opened, error)
        }
      },
    }
  }

  /** Nothing to do if it is open. A damaged store is set aside, and a new one made. */
  async open(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#opened !== undefined) return
      const store = await this.#openSound()
      const view = createTableView(store, this.#options.partitions)
      this.#opened = { store, view, isDamaged: false }
    })
  }

  /** Nobody else may have it open any more. `damage`: why it must not be opened again as it is. */
  async close(damage?: unknown): Promise<void> {
    await this.#inTurn(async () => {
      this.#damage ??= damage
      const opened = this.#opened
      this.#opened = undefined
      await opened?.store[Symbol.asyncDispose]()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #noticed(opened: Opened, error: unknown): unknown {
    const isDamage = error instanceof HostError && error.code === 'STORE_DAMAGED'
    if (isDamage && opened === this.#opened && !opened.isDamaged) {
      opened.isDamaged = true
      this.#options.damaged(error)
    }
    return error
  }

  #reading(): Opened {
    if (this.#opened !== undefined) return this.#opened
    throw closedTable(this.#options.name)
  }

  /** Undefined also of what cannot be read: its recovery finds out. */
  stored(partition: number): PartitionMeta | undefined {
    const opened = this.#opened
    try {
      return opened?.store.partition(partition).meta()
    } catch (error) {
      if (opened !== undefined) this.#noticed(opened, error)
      return undefined
    }
  }

  /** A read is over at once, and a range has a snapshot. */
  wiping(): void {}

  /** What its thread opens again, by the same path. */
  start(): Pick<WorkerStart, 'store'> {
    return { store: { kind: 'level', path: this.#options.path } }
  }

  async #openSound(): Promise<TableStore> {
    const { path, openStore } = this.#options
    if (this.#damage === undefined) {
      try {
        const found = await inspectDatabase(path)
        if (found === undefined) return await openStore(path)
        throw storeDamaged(path, new Error(`${found.file}: ${found.problem}`))
      } catch (error) {
        if (asHostError(error).code !== 'STORE_DAMAGED') throw error
        this.#damage = error
      }
    }
    await setAside(path, this.#damage, this.#options.logger)
    this.#damage = undefined
    return await openStore(path)
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    await done
  }
}
