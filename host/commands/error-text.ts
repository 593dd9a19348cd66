// What is wrong with a function, as text.
import type { ShownError } from '../functions/catalog.js'
import { styled } from './output.js'

/** With the place in the user's file, and the lines around it. */
export function errorLines(error: Partial<ShownError> & { code: string; message: string }) {
  const { file, line, column, frame, stream, partition, offset, key } = error
  const place = file === undefined || line === undefined ? file : `${file}:${line}:${column ?? 1}`
  const record =
    stream === undefined || offset === undefined
      ? undefined
      : `at ${stream}, partition ${partition}, offset ${offset}, key ${JSON.stringify(key ?? '')}`
  return [
    styled('red', `${error.code}: ${error.message}`),
    ...(record === undefined ? [] : [`  ${record}`]),
    ...(place === undefined ? [] : [`  ${place}`]),
    ...(frame === undefined ? [] : [frame]),
  ]
}
