// Profiles, segments and how near they are to each other, by formulas of the tests' own.
import { categories } from '../../../../examples/systems/user-segmentation/segments.js'

export type Matrix = readonly (readonly number[])[]
const size = categories.length
export const square = (value: (row: number, column: number) => number): number[][] =>
  Array.from({ length: size }, (_, row) => Array.from({ length: size }, (_, at) => value(row, at)))
export const firstModel = square((row, at) => (row === at ? 0.3875 : 0.0875))
export const sum = (row: readonly number[]): number => row.reduce((total, each) => total + each, 0)

export function profileOf(recent: readonly number[]): number[] {
  return categories.map((_, index) => recent.filter((each) => each === index).length)
}

/** Squares of differences to all segments, by another formula than that of the functions. */
export function distancesTo(model: Matrix, profile: readonly number[]): number[] {
  const shares = profile.map((number) => number / sum(profile))
  const product = (a: readonly number[], b: readonly number[]) =>
    sum(a.map((each, index) => each * (b[index] ?? 0)))
  return model.map(
    (segment) => product(segment, segment) - 2 * product(segment, shares) + product(shares, shares),
  )
}
