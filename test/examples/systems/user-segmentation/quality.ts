// What segments are worth: how many users are of the kind that their segment stands for, by any model.
import type { Kind } from '../../../../examples/systems/user-segmentation/events.js'
import { grouped } from '../../../support/grouped.js'
import { distancesTo, firstModel, type Matrix, sum } from './profiles.js'

type SegmentOf = (user: string) => number | undefined
type KindOf = (user: string) => Kind | undefined

/** The most frequent. */
export function mode<Value>(values: readonly Value[]): Value | undefined {
  const groups = grouped(values, (value) => String(value))
  return [...groups.values()].sort((a, b) => b.length - a.length)[0]?.[0]
}

/** A segment stands for the kind that most of its known users are: a guess for any user. */
export function guessBy(segmentOf: SegmentOf, known: readonly string[], kindOf: KindOf): KindOf {
  const meaning = new Map(
    [...grouped(known, (user) => String(segmentOf(user)))].map(([segment, users]) => {
      return [segment, mode(users.map(kindOf))]
    }),
  )
  return (user) => meaning.get(String(segmentOf(user)))
}

export function shareOf(users: readonly string[], guess: KindOf, kindOf: KindOf): number {
  return users.filter((user) => guess(user) === kindOf(user)).length / users.length
}

/** Lloyd's k-means over all profiles at once, from the same beginning. */
export function kMeans(profiles: readonly (readonly number[])[]): Matrix {
  let model: Matrix = firstModel
  for (let round = 0; round < 30; round += 1) {
    const groups = grouped(profiles, (profile) => String(nearest(model, profile)))
    model = model.map((before, segment) => {
      const own = groups.get(String(segment)) ?? []
      const sums = before.map((_, at) => sum(own.map((profile) => profile[at] ?? 0)))
      return own.length === 0 ? before : sums.map((each) => each / sum(sums))
    })
  }
  return model
}

export function nearest(model: Matrix, profile: readonly number[]): number {
  const distances = distancesTo(model, profile)
  return distances.indexOf(Math.min(...distances))
}
