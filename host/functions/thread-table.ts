// The main thread's hold on a table that only its function's thread has open: one in memory, or in a store of the user's own.
import { MessageChannel } from 'node:worker_threads'
import { HostError } from '../errors.js'
import type { Logger } from '../logger.js'
import { closedTable } from './closed-table.js'
import type { HeldTable } from './held-table.js'
import type { WorkerStart } from './messages.js'
import { RemoteView } from './remote-view.js'
import { setAside } from './set-aside.js'
import type { StoreStart } from './store-kind.js'

export interface ThreadTableOptions {
  /** Of the function. */
  readonly name: string
  readonly store: Exclude<StoreStart, { kind: 'level' }>
  /** How long a read may wait for the thread. */
  readonly withinMs: number
  readonly logger: Logger
  /** A read has found it damaged. */
  damaged(error: HostError): void
}

export class ThreadTable implements HeldTable {
  readonly view: RemoteView
  readonly #options: ThreadTableOptions
  /** Why what lies in the folder cannot be used. */
  #damage: unknown
  #isTold = false

  constructor(options: ThreadTableOptions) {
    this.#options = options
    const { name, withinMs } = options
    this.view = new RemoteView({
      withinMs,
      opened: () => {
        this.#isTold = false
      },
      closed: () => closedTable(name),
      late: () =>
        new HostError(
          'RECOVERING',
          `the thread of ${name}, which alone can read its table, did not answer within ${withinMs} ms: try again; look for a handler that does not return, or a read of its store that takes long`,
          { function: name },
        ),
      failed: (error) => {
        if (error.code !== 'STORE_DAMAGED' || this.#isTold) return
        this.#isTold = true
        options.damaged(error)
      },
    })
  }

  async open(): Promise<void> {
    const { store, logger } = this.#options
    if (this.#damage === undefined) return
    if (store.kind === 'own') await setAside(store.folder, this.#damage, logger)
    this.#damage = undefined
  }

  async close(damage?: unknown): Promise<void> {
    this.#damage ??= damage
    this.view.disconnect()
  }

  wiping(): void {
    this.view.interrupt()
  }

  stored(): undefined {}

  start(): Pick<WorkerStart, 'store' | 'view'> {
    const { port1, port2 } = new MessageChannel()
    this.view.connect(port1)
    return { store: this.#options.store, view: port2 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
