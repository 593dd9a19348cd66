// The parts of a failure's text, for the log and for commands: what it is, where, by which way, and what caused it.
import { sep } from 'node:path'
import type { ShownError } from './catalog.js'

type Shown = Partial<ShownError> & Pick<ShownError, 'code' | 'message'>

const maxFrames = 3

export const headline = ({ code, name, message }: Shown): string =>
  `${code}: ${name === undefined ? '' : `${name}: `}${message}`

/** One line, or none. */
export function placeLines({ file, line, column }: Shown): string[] {
  if (file === undefined) return []
  return [fromHere(line === undefined ? file : `${file}:${line}:${column ?? 1}`)]
}

/** The user's own frames, when there are more than the one whose lines are shown. */
export function frameLines({ stack = '' }: Shown): string[] {
  const frames = stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes(`${sep}node_modules${sep}`))
  return frames.length < 2 ? [] : frames.slice(0, maxFrames).map(fromHere)
}

export const causeLines = ({ causes = [] }: Shown): string[] =>
  causes.map((cause) => `caused by: ${cause}`)

/** What lies in the current folder is named from there. */
const fromHere = (text: string): string => text.replace(`${process.cwd()}${sep}`, '')
