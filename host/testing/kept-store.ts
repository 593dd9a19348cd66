// The store of a function under test, and what of it outlives the process that the test kit plays.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProcessorDefinition } from '../../sdk/define.js'
import { createMemoryStore, type MemoryStore } from '../tables/memory.js'
import { openOwnStore } from '../tables/own.js'
import type { TableStore } from '../tables/store.js'

type StoreOption = ProcessorDefinition['store']

/** LevelDB is played by a store in memory whose content outlives its process. */
export class KeptStore {
  readonly #function: string
  #option: StoreOption
  #disk: MemoryStore = createMemoryStore()
  #folder: string | undefined
  #opened: TableStore | undefined

  constructor(name: string, option: StoreOption) {
    this.#function = name
    this.#option = option
  }

  /** As it was opened last. */
  get opened(): TableStore {
    return this.#opened ?? this.#disk
  }

  /** At the start of a process, or of a thread: what was open before is closed, or has died. */
  async open(): Promise<TableStore> {
    await this.close()
    const opened = await this.#open()
    this.#opened = opened
    return opened
  }

  /** True: the version in place goes on with the store that is open. A store of the user's own is opened by each version anew. */
  keepsFor(option: StoreOption): boolean {
    return option === this.#option && typeof option !== 'object'
  }

  /** For the next opening. */
  async use(option: StoreOption): Promise<void> {
    await this.close()
    this.#option = option
  }

  async lose(): Promise<void> {
    await this.close()
    this.#disk = createMemoryStore()
    await this.#dropFolder()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    if (typeof this.#option === 'object') await opened?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    await this.#dropFolder()
  }

  async #open(): Promise<TableStore> {
    if (this.#option === 'memory') return createMemoryStore()
    if (typeof this.#option !== 'object') return this.#disk.reopen()
    this.#folder ??= await mkdtemp(join(tmpdir(), 'millrace-store-'))
    return await openOwnStore(this.#option, { function: this.#function, folder: this.#folder })
  }

  async #dropFolder(): Promise<void> {
    const folder = this.#folder
    this.#folder = undefined
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}
