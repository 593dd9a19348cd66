// A function's table as the main thread has hold of it, whoever has its store open.
import type { StorePlace } from '../../sdk/store.js'
import type { HostError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { PartitionMeta, TableStore } from '../tables/store.js'
import type { TableView } from '../tables/view.js'
import { LocalTable } from './local-table.js'
import type { WorkerStart } from './messages.js'
import type { StoreKind } from './store-kind.js'
import { ThreadTable } from './thread-table.js'

export interface HeldTable extends AsyncDisposable {
  /** Reads reject with RECOVERING while nobody can read it. */
  readonly view: TableView
  /** Nothing to do if it is open. What is damaged is set aside first. */
  open(): Promise<void>
  /** No thread may have it open any more. `damage`: why it must not be opened again as it is. */
  close(damage?: unknown): Promise<void>
  /** Its thread is about to wipe some of it: what is being read by way of it may be neither what was there nor what will be. */
  wiping(): void
  /** Of a partition, as far as it can be read without its thread. */
  stored(partition: number): PartitionMeta | undefined
  /** What the next thread is told of it; asked once for each. */
  start(): Pick<WorkerStart, 'store' | 'view'>
}

export interface HeldTableOptions {
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

/** `ownPath`: of a store of the user's own. `withinMs`: how long a thread that reads it may take. */
export function holdTable(
  kind: StoreKind,
  options: HeldTableOptions & { readonly ownPath: string; readonly withinMs: number },
): HeldTable {
  if (kind === 'level') return new LocalTable(options)
  const { name, ownPath } = options
  const place: StorePlace = { function: name, folder: ownPath }
  return new ThreadTable({
    ...options,
    store: kind === 'memory' ? { kind } : { kind, ...place },
  })
}
