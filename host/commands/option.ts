// What a value of the command line has to be.
import { InvalidArgumentError } from 'commander'

export function nonEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.')
  return value
}
