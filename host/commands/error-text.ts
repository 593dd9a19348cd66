// What is wrong with a function, as text.
import type { ShownError } from '../functions/catalog.js'
import { causeLines, frameLines, headline, placeLines } from '../functions/error-lines.js'
import { styled } from './output.js'

/** With the place in the user's file, and the lines around it. */
export function errorLines(error: Partial<ShownError> & { code: string; message: string }) {
  const { frame, stream, partition, offset, key } = error
  const record =
    stream === undefined || offset === undefined
      ? undefined
      : `at ${stream}, partition ${partition}, offset ${offset}, key ${JSON.stringify(key ?? '')}`
  return [
    styled('red', headline(error)),
    ...(record === undefined ? [] : [`  ${record}`]),
    ...placeLines(error).map((line) => `  ${line}`),
    ...(frame === undefined ? [] : [frame]),
    ...frameLines(error),
    ...causeLines(error),
  ]
}
