// What commands print: JSON for programs, text for people, colours for terminals only.
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

export function writeText(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** As https://no-color.org has it: a terminal, and nobody said no. */
const hasColors = (): boolean =>
  process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

export const styled = (style: Style, text: string): string =>
  // Node's own check of the stream came after Node 20.19's first releases.
  hasColors() ? styleText(style, text) : text

/** Of the terminal; what goes into a file or a pipe is as wide as it is. */
export const width = (): number =>
  process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY

/** A reader that has enough, as `head` has, is no failure. */
export function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

export const grouped = (value: number): string => value.toLocaleString('en-US')
