// `npm run simulate`: a large group on paper: what moves when instances come and go, how long it takes, and where the limits are.
import { Command, InvalidArgumentError } from 'commander'
import { type Costs, defaults } from './costs.js'
import { report } from './report.js'

function number(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('it is not a number of 0 or more')
}

/** As Costs, but for the letters. */
const flagOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const command = new Command('simulate').option('--seed <n>', 'table sizes and times', number, 1)
for (const [name, value] of Object.entries(defaults)) {
  command.option(`--${flagOf(name)} <n>`, 'see bench/simulate/costs.ts', number, value)
}
const { seed, ...costs } = command.parse().opts<Costs & { readonly seed: number }>()
process.stdout.write(report(costs, seed))
