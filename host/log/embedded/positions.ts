// The groups' positions and the fences of their writers, as the log thread keeps them.
import { type Database, readRows } from './database.js'
import type { Operation } from './layout.js'
import * as layout from './layout.js'
import type { NamedPosition, NumberedPosition, WriterRef } from './messages.js'
import type { Topics } from './topics.js'

export class Positions {
  readonly #groups = new Map<string, Map<string, NumberedPosition>>()
  /** In memory is enough: one process has the log, and writers of dead processes cannot come back. */
  readonly #fences = new Map<string, number>()

  static async load(database: Database): Promise<Positions> {
    const positions = new Positions()
    const range = { gte: layout.firstOf('position'), lt: layout.behind('position') }
    for (const [key, value] of await readRows(database, range)) {
      const position = { ...layout.placeOf(key), offset: layout.readOffset(value, 0) }
      positions.set(layout.groupOf(key), [position])
    }
    return positions
  }

  /** Every earlier writer of this group and partition is fenced from here on. */
  raiseFence(group: string, partition: number): number {
    const fence = (this.#fences.get(`${partition} ${group}`) ?? 0) + 1
    this.#fences.set(`${partition} ${group}`, fence)
    return fence
  }

  isFenced({ group, partition, fence }: WriterRef): boolean {
    return this.#fences.get(`${partition} ${group}`) !== fence
  }

  set(group: string, positions: readonly NumberedPosition[]): void {
    const ofGroup = this.#groups.get(group) ?? new Map<string, NumberedPosition>()
    this.#groups.set(group, ofGroup)
    for (const position of positions) {
      ofGroup.set(`${position.topic}/${position.partition}`, position)
    }
  }

  of(group: string, topics: Topics): NamedPosition[] {
    return [...(this.#groups.get(group)?.values() ?? [])].flatMap((position) => {
      const topic = topics.numbered(position.topic)?.name
      return topic === undefined ? [] : [{ ...position, topic }]
    })
  }

  groups(topics: Topics): string[] {
    return [...this.#groups.keys()].filter((group) => this.of(group, topics).length > 0)
  }

  writes(group: string, positions: readonly NumberedPosition[]): Operation[] {
    return positions.map(({ topic, partition, offset }) =>
      layout.put(layout.positionKey(group, topic, partition), layout.packOffset(offset)),
    )
  }

  /** The operations that forget some of the positions, and what to do when they are written. */
  forget(isGone: (group: string, position: NumberedPosition) => boolean): {
    operations: Operation[]
    done: () => void
  } {
    const operations: Operation[] = []
    const places: (() => void)[] = []
    for (const [group, ofGroup] of this.#groups) {
      for (const [place, position] of ofGroup) {
        if (!isGone(group, position)) continue
        operations.push({
          type: 'del',
          key: layout.positionKey(group, position.topic, position.partition),
        })
        places.push(() => ofGroup.delete(place))
      }
    }
    return { operations, done: () => places.map((drop) => drop()) }
  }
}
