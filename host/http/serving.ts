// What is refused: partitions that are not served here, before they are read, and those that may have gone meanwhile, after.
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'

export function notServing(table: TableEntry, partition: number): HostError {
  return new HostError(
    'RECOVERING',
    `partition ${partition} of the table "${table.name}" ${
      table.isOwned(partition)
        ? 'is being rebuilt from the log, or waits with its function: GET /functions/NAME tells for what'
        : 'is at another host, or at none, as while the brokers cannot be reached: GET /functions and /readyz of each tell'
    }; try again, or take what is there with ?stale=ok`,
    { function: table.function, partition },
  )
}

export function refuseStale(table: TableEntry, partition: number): void {
  if (!table.isServing(partition)) throw notServing(table, partition)
}

/** Once it is another host's it may have gone on there: what was read here before is old. */
export function refuseLost(table: TableEntry, partition: number): void {
  if (table.isOwned(partition) || table.isReplica(partition)) return
  throw new HostError(
    'RECOVERING',
    `partition ${partition} of the table "${table.name}" may have gone to another host while it was read: try again, or take what is there with ?stale=ok`,
    { function: table.function, partition },
  )
}

/** After a read. One by the function's thread was made after it was asked for: the partition may have been on its way to be rebuilt by then. */
export function refuseMoved(table: TableEntry, partition: number): void {
  if (table.view.isRemote) refuseStale(table, partition)
  else refuseLost(table, partition)
}

export const partitionsOf = ({ partitions }: TableEntry): number[] =>
  Array.from({ length: partitions }, (_, partition) => partition)

/** Says of an answer that what it tells may have been changed by others since. */
export function marked<A extends Response | Promise<Response>>(
  table: TableEntry,
  answer: A,
  partition?: number,
): A | Promise<Response> {
  return table.isStale(partition) ? markedStale(answer) : answer
}

export async function markedStale(answer: Response | Promise<Response>): Promise<Response> {
  const told = await answer
  told.headers.set('millrace-stale', 'true')
  return told
}
