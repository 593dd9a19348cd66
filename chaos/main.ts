// `npm run chaos`: instances on a broker of their own, faults by a seed, and an oracle that knows what has to be there after all of it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Delivery } from './functions.js'
import { report } from './report.js'
import { run } from './run.js'
import { allKinds, type Kind } from './schedule.js'

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly delivery: Delivery
  readonly without: readonly Kind[]
  readonly namespaces: boolean
  readonly keep: boolean
}

function aboveZero(text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('It has to be a number above 0.')
}

function whole(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError('It has to be a whole number.')
}

const options = new Command('chaos')
  .description(
    'Kills, cuts, stops and fills up whatever a run of several hosts needs, and compares what is there then.',
  )
  .option('--minutes <n>', 'of faults; what is before and after comes on top', aboveZero, 3)
  .option('--seed <n>', 'makes the same schedule again', whole, Date.now() % 1_000_000)
  .addOption(
    new Option('--delivery <delivery>', 'of the functions')
      .choices(['exactly-once', 'at-least-once'])
      .default('exactly-once'),
  )
  .addOption(
    new Option('--without <kinds...>', 'faults to leave out').choices(allKinds).default([]),
  )
  .option('--no-namespaces', 'leaves all instances in the network of this machine')
  .option('--keep', 'keeps the logs though nothing was found', false)
  .parse()
  .opts<Options>()

const isTerminal = process.stderr.isTTY === true
const show = (what: string) => {
  if (isTerminal) process.stderr.write(`\r\x1b[K${what}`)
}
const say = (what: string) => {
  if (isTerminal) process.stderr.write('\r\x1b[K')
  console.error(what)
}
const ends: (() => unknown)[] = []
const scope = {
  teardown: (end: () => unknown) => void ends.push(end),
  comment: say,
}
const folder = await mkdtemp(join(tmpdir(), 'millrace-chaos-'))
let isSound = false
const stopped = new Promise<never>((_, reject) => {
  // More than once: npm hands a signal on to who has had it from the terminal.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => reject(new Error(`ended by ${signal}`)))
  // What nobody waits for may fail, too, and what was begun is ended all the same.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, reject)
})
try {
  const outcome = await Promise.race([run(scope, { ...options, folder, say, show }), stopped])
  console.log(report(outcome))
  for (const finding of outcome.findings) console.log(`WRONG: ${finding}`)
  isSound = outcome.findings.length === 0
} catch (error) {
  console.error(error)
} finally {
  for (const end of ends.reverse()) {
    try {
      await end()
    } catch (error) {
      console.error(error)
      isSound = false
    }
  }
}
const again = `npm run chaos -- --minutes ${options.minutes} --seed ${options.seed} --delivery ${options.delivery}${options.namespaces ? '' : ' --no-namespaces'}`
if (isSound && !options.keep) await rm(folder, { recursive: true, force: true })
else {
  await rm(join(folder, 'kafka'), { recursive: true, force: true })
  console.log(`The logs are in ${join(folder, 'logs')}.`)
}
if (!isSound) console.log(`The same schedule again: ${again}`)
process.exit(isSound ? 0 : 1)
