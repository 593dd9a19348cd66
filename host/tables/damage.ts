// How a store that cannot be used as it is names itself.
import { HostError } from '../errors.js'

export const storeDamaged = (path: string, cause: unknown): HostError =>
  new HostError(
    'STORE_DAMAGED',
    `the store ${path} is damaged: it is set aside, and the table is rebuilt from the log`,
    { cause },
  )
