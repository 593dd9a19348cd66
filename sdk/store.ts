// The port of a store of one's own: where a function keeps its table, if neither in LevelDB nor in memory.

/**
 * Where a store of one's own is opened.
 *
 * @example
 * const path = (place: StorePlace) => join(place.folder, 'table.db')
 */
export interface StorePlace {
  /** The function's name. */
  readonly function: string
  /**
   * A folder of its own, absolute, which is there. What lies elsewhere, in a server for instance, has to be found by what lies in here, such as a
   * random name: a folder that is empty means that there is nothing yet, be it new, reset, or set aside as damaged.
   */
  readonly folder: string
}

/**
 * A key and its new value; `null` deletes the key. They are the store's own: nobody changes these bytes any more.
 *
 * @example
 * const deleted: StoreChange = [Uint8Array.of(3, 0, 0, 0, 1, 97), null]
 */
export type StoreChange = readonly [key: Uint8Array, value: Uint8Array | null]

/**
 * A key and its value. They may be the store's own: the host copies what it keeps.
 *
 * @example
 * const entry: StoreEntry = [Uint8Array.of(1), Uint8Array.of(2)]
 */
export type StoreEntry = readonly [key: Uint8Array, value: Uint8Array]

/**
 * Which keys are asked for, by their bytes.
 *
 * @example
 * const isIn = (key: Uint8Array, { from, to }: StoreRange) =>
 *   Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0
 */
export interface StoreRange {
  /** Included. */
  readonly from: Uint8Array
  /** Not included. */
  readonly to: Uint8Array
  /** From the last key down. */
  readonly isReverse: boolean
}

/**
 * An open store: an ordered map from bytes to bytes. Keys begin with bytes of the host's, which keeps several partitions, and what it has to
 * know of each, in one store; values end with a checksum of the host's. Called by one thread, with one `write` at a time. What a method throws,
 * or rejects with, is STORE_FAILED: the store is closed and opened anew, until that helps; with `code: 'STORE_DAMAGED'` on the error its folder is set
 * aside first, and the table is rebuilt from the log.
 *
 * @example
 * const nothing: OpenStore = { get: () => undefined, write() {}, range: () => [], close() {} }
 */
export interface OpenStore {
  /**
   * The value, as of the last `write` that has settled; `undefined`: there is none. Synchronous, since `ctx.get()` is: a store that has to wait for
   * each answer keeps what it has in memory, too, and reads it when it is opened.
   */
  get(key: Uint8Array): Uint8Array | undefined
  /**
   * All changes or none, whenever the process dies: among them is how far the log is applied. Each key comes once. When it has settled, they are there for
   * `get` and `range`, and for the next `open`, or else nothing at all is: an empty store is rebuilt from the log, one that has lost some is not noticed.
   */
  write(changes: readonly StoreChange[]): void | Promise<void>
  /** In the order of the keys' bytes, as they are at the call, whatever is written while they are read. */
  range(range: StoreRange): Iterable<StoreEntry> | AsyncIterable<StoreEntry>
  /** Once, when nothing is under way any more. A process that dies does not call it. */
  close(): void | Promise<void>
}

/**
 * A store of one's own, for the option `store` of a definition. `storeChecks` of `millrace/testing` tells whether it does what it has to.
 *
 * @example
 * export const inFiles: Store = {
 *   open: async ({ folder }) => await FileTable.open(join(folder, 'table')), // a class of yours
 * }
 */
export interface Store {
  /**
   * In the function's thread, which has it open alone: at its start, after each save, and whenever it is opened anew. No write of an earlier opening
   * may land when it has resolved, also if the thread was ended while that was under way.
   */
  open(place: StorePlace): OpenStore | Promise<OpenStore>
}
