// What is told of a configuration that is not right: all that is wrong with it, at once.
import { HostError } from './errors.js'

export function badConfig(problems: readonly string[]): HostError {
  const [only] = problems
  const message =
    problems.length === 1 && only !== undefined
      ? `the configuration is not right: ${only}`
      : `the configuration is not right:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`
  return new HostError('BAD_CONFIG', message, { details: problems })
}
