// The main thread's hold on a function's table: opened before any thread opens it, closed after, and known while it is closed.
import { rename } from 'node:fs/promises'
import { asHostError, HostError } from '../errors.js'
import { inspectDatabase } from '../leveldb/inspect.js'
import type { Logger } from '../logger.js'
import { storeDamaged } from '../tables/damage.js'
import type { Entry, TableStore } from '../tables/store.js'
import { createTableView, type TableView } from '../tables/view.js'

export interface LocalTableOptions {
  /** Of the function. */
  readonly name: string
  /** The folder of its store, absolute. */
  readonly path: string
  readonly partitions: number
  readonly logger: Logger
  openStore(path: string): Promise<TableStore>
  /** A read has found it damaged, which a thread that does not read that key may never find. */
  damaged(error: HostError): void
}

interface Opened {
  readonly store: TableStore
  readonly view: TableView
  /** Told once, however many reads meet it before it is closed. */
  isDamaged: boolean
}

export class LocalTable implements AsyncDisposable {
  /** Reads reject with RECOVERING while the table is closed. */
  readonly view: TableView
  readonly #options: LocalTableOptions
  #opened: Opened | undefined
  /** Why what lies in the folder cannot be used. */
  #damage: unknown
  /** Opening and closing take turns. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: LocalTableOptions) {
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
    const { name } = this.#options
    throw new HostError(
      'RECOVERING',
      `the table "${name}" is closed for a moment, while its function is started: try again`,
      { function: name },
    )
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
    await this.#setAside()
    return await openStore(path)
  }

  /** Never deleted: somebody may want to know what happened to it. */
  async #setAside(): Promise<void> {
    const { path, logger } = this.#options
    const aside = `${path}.damaged-${new Date().toISOString().replaceAll(':', '-')}`
    try {
      await rename(path, aside)
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
        logger.warn(`the store ${path} is gone: the table is rebuilt from the log`)
        this.#damage = undefined
        return
      }
      throw new HostError(
        'STORE_FAILED',
        `the store ${path} is damaged, and could not be set aside as ${aside}: ${asHostError(cause).message}; move the folder away, or let the host write to the folder that it is in`,
        { cause },
      )
    }
    const damage = asHostError(this.#damage)
    this.#damage = undefined
    logger.warn(
      `the store ${path} was damaged: it was set aside as ${aside}, and the table is rebuilt from the log; delete that folder when nobody needs it`,
      { from: path, to: aside, cause: asHostError(damage.cause ?? damage).message },
    )
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    await done
  }
}
