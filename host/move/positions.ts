// Commits the groups' positions on the target: last of all, for with them a function can run there.
import { HostError } from '../errors.js'
import type { Log, Position } from '../log/log.js'
import { inParallel } from './parallel.js'
import { Patience, type PatienceOptions } from './patience.js'
import type { VerifiedTopic } from './verify.js'

export interface PositionsOptions extends PatienceOptions {
  readonly target: Log
  readonly lanes: number
}

/** The number of positions. Rejects with MOVE_CONFLICT when somebody runs the function there. */
export async function movePositions(
  topics: readonly VerifiedTopic[],
  options: PositionsOptions,
): Promise<number> {
  const writers = new Map<string, { group: string; partition: number; positions: Position[] }>()
  for (const { from, to } of topics.flatMap(({ positions }) => positions)) {
    const key = `${from.partition} ${from.group}`
    const writer = writers.get(key) ?? {
      group: from.group,
      partition: from.partition,
      positions: [],
    }
    writer.positions.push(to)
    writers.set(key, writer)
  }
  const { target, lanes, signal } = options
  let count = 0
  await inParallel([...writers.values()], lanes, signal, async (one, either) => {
    const { group, partition, positions } = one
    const patience = new Patience({ ...options, signal: either })
    const inUse = (): HostError =>
      new HostError(
        'MOVE_CONFLICT',
        `the positions of ${group} were not taken: a host runs its function on the cluster already. Stop it, delete there what is moved, and run this command again`,
        { function: group, partition },
      )
    for (let isDone = false; !isDone; ) {
      await using writer = await patience.ask(() => target.openWriter(group, partition))
      isDone = (await patience.commit(writer, { records: [], positions }, inUse)) === 'committed'
    }
    count += positions.length
  })
  return count
}
