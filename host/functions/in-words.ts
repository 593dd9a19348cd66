// How the problems of a definition are put into words.
import { nearest } from '../nearest.js'

/** `at` is a path into the definition, like `inputs.clicks`; empty for the definition itself. */
export type Report = (at: string, message: string) => void

export function oneOf<const Choice extends string>(
  where: string,
  given: unknown,
  choices: readonly [Choice, ...Choice[]],
  report: Report,
): Choice {
  if (given === undefined) return choices[0]
  const choice = choices.find((known) => known === given)
  if (choice !== undefined) return choice
  const near = typeof given === 'string' ? hint(given, choices) : ''
  report(where, `one of ${listed(choices)} is allowed, not ${inWords(given)}${near}`)
  return choices[0]
}

export function whole(
  where: string,
  given: unknown,
  least: number,
  most: number,
  report: Report,
): number {
  if (typeof given === 'number' && Number.isInteger(given) && given >= least && given <= most)
    return given
  report(where, `a whole number from ${least} to ${most} is needed, not ${inWords(given)}`)
  return least
}

export function unknownFields(
  where: string,
  given: Readonly<Record<string, unknown>>,
  known: readonly string[],
  report: Report,
): void {
  for (const field of Object.keys(given)) {
    if (known.includes(field)) continue
    const path = where === '' ? field : `${where}.${field}`
    report(path, `there is no such option${hint(field, known)}; options are ${listed(known)}`)
  }
}

export function inWords(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return `the function ${value.name || 'without a name'}`
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

export const listed = (names: readonly string[]): string =>
  names.length === 0 ? 'none' : names.join(', ')

export function hint(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near === undefined ? '' : `; did you mean ${near}?`
}
