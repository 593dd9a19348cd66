// `npm run test:kafka`: the tests of test-kafka/ on an Apache Kafka of their own, or those that are named.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startBroker } from './broker.js'
import { keepsAll } from './properties.js'
import { addressVariable } from './shared.js'

const folder = 'test-kafka'

/** Those that take longest: begun last, they would run alone at the end. */
const first = [
  'trouble',
  'writer',
  'move',
  'failover',
  'crash/instants',
  'crash/zombie',
  'crash/threads',
  'crash/failpoints',
  'broker',
  'host',
  'appender',
  'unclean',
  'views',
  'reader-trouble',
  'security',
]

async function testFiles(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  const place = (name: string): number => {
    const at = first.findIndex((one) => name === `${one}.test.ts`)
    return at === -1 ? first.length : at
  }
  return names
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .sort((a, b) => place(a) - place(b))
    .map((name) => join(folder, name))
}

const given = process.argv.slice(2)
const isNamed = given.some((argument) => !argument.startsWith('-'))
const files = isNamed ? given : [...given, ...(await testFiles())]
const broker = await startBroker({
  properties: keepsAll,
  // It takes less to compile it less, for so short a life.
  options: ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'],
  fetching: () => process.stderr.write('Fetching Apache Kafka by Maven, once …\n'),
}).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})

const tests = spawn(join('node_modules', '.bin', 'tap'), ['run', ...files], {
  stdio: 'inherit',
  env: { ...process.env, [addressVariable]: broker.address },
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal))
const ended = once(tests, 'exit').then(([code]: unknown[]) => (typeof code === 'number' ? code : 1))
const end = await Promise.race([ended, broker.died()])
if (typeof end === 'string') {
  process.stderr.write(`${end}\n`)
  tests.kill('SIGTERM')
  await ended
}
await broker.stop()
process.exit(typeof end === 'number' ? end : 1)
