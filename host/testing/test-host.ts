// What a test can do with its host.
import type { EmitOptions } from '../../sdk/context.js'
import type {
  Definition,
  Definitions,
  Emitted,
  EmittedKey,
  FunctionName,
  Received,
  ReceivedKey,
  StreamName,
  TableKey,
  TableName,
  TableValue,
} from './edges.js'
import type { ForeignTable } from './foreign-tables.js'
import type { FunctionStatus } from './status.js'
import type { TestStream } from './stream.js'
import type { TestTable } from './table.js'

/** Where an emitted record lies. */
export interface EmittedRecord {
  readonly stream: string
  readonly partition: number
  readonly offset: number
}

/** What a visit has come to. */
export interface VisitedKeys {
  /** Keys whose visitor has succeeded. */
  readonly visited: number
  /** Given up by `onError: 'skip'`. */
  readonly failed: number
  /** Keys that were deleted before their turn. */
  readonly vanished: number
}

/**
 * A host with the functions of a test. Names are those of the definitions that it was given: `click-count`, or `clickCount`.
 *
 * @example
 * await using host = await testHost({ clickCount })
 * await host.emit('clicks', 'alice', { page: '/home' })
 * await host.settled()
 * host.table('clickCount').get('alice') // { count: 1 }
 */
export interface TestHost<D extends Definitions> extends AsyncDisposable {
  readonly seed: number
  /** Appends a record, as a client would; resolves when the log has it. `null` is a tombstone. Default timestamp: `now()`. */
  emit<Stream extends StreamName<D>>(
    stream: Stream,
    key: EmittedKey<D, Stream>,
    value: Emitted<D, Stream> | null,
    options?: EmitOptions,
  ): Promise<EmittedRecord>
  table<Name extends TableName<D>>(name: Name): TestTable<TableValue<D, Name>, TableKey<D, Name>>
  /**
   * A table that functions of the test read and none of them writes, for the test to write: by its topic, or by the name under
   * which it is joined or looked up.
   */
  foreignTable(name: string): ForeignTable
  /** The same object each time, so that `next` goes on where it was. */
  stream<Stream extends StreamName<D>>(
    stream: Stream,
  ): TestStream<Received<D, Stream>, ReceivedKey<D, Stream>>
  function(name: FunctionName<D>): FunctionStatus
  /**
   * Calls the visitor once for each key that the function's table holds now, as `millrace visit` does; resolves when what it did is
   * stored. Rejects with VISIT_FAILED (its cause is what the visitor threw) or VISIT_ABORTED, with counts in the `details`.
   */
  visit(name: FunctionName<D>, visitor: string, argument?: unknown): Promise<VisitedKeys>
  /**
   * Resolves when each input and loop is read to its end, and no attempt, retry or flush is pending. Time moves as far as these
   * wait for it. Rejects if a function has halted, with its error as the cause. A paused function is not waited for.
   */
  settled(): Promise<void>
  /** Virtual time, in milliseconds since 1970. It stands still but for `advance`, and for retries and flushes that are waited for. */
  now(): number
  /** Moves time; what falls due on the way happens at its time. */
  advance(ms: number): Promise<void>
  /**
   * Kills the host as `kill -9` would, at a moment that the seed chooses, and starts it again: what was not flushed is handled
   * anew. Tables keep their local store unless it is lost, too; then they come back from the log.
   */
  crash(options?: { readonly store?: 'kept' | 'lost' }): Promise<void>
  /** All partitions are given up after a flush, and taken again. `lost`: without a flush, another owner has fenced them. */
  rebalance(options?: { readonly lost?: boolean }): Promise<void>
  /** Puts other definitions in the place of running ones, as a save would. A function that has halted goes on at its record. */
  swap(definitions: { readonly [Name in keyof D]?: Definition }): Promise<void>
  /** At a record boundary, after a flush. */
  pause(name: FunctionName<D>): Promise<void>
  /** After `pause`, or after the function has halted: it goes on at its record. */
  resume(name: FunctionName<D>): void
  /** For those who have no `await using`. Nothing is flushed. */
  close(): Promise<void>
}
