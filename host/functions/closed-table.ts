// What a read of a table is told that nobody has open just now.
import { HostError } from '../errors.js'

export const closedTable = (name: string): HostError =>
  new HostError(
    'RECOVERING',
    `the table "${name}" is closed for a moment, while its function is started: try again`,
    { function: name },
  )
