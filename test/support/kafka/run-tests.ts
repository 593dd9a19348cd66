// `npm run test:kafka`: the tests of test-kafka/ on an Apache Kafka of their own, or those that are named.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeArchive } from './archive.js'
import { startBroker } from './broker.js'
import { quick } from './java.js'
import { keepsAll } from './properties.js'
import { addressVariable } from './shared.js'

const folder = 'test-kafka'

async function testFiles(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => name.endsWith('.test.ts')).map((name) => join(folder, name))
}

const given = process.argv.slice(2)
const isNamed = given.some((argument) => !argument.startsWith('-'))
const files = isNamed ? given : [...given, ...(await testFiles())]
const startShared = async () => {
  await makeArchive(() => process.stderr.write('Fetching Apache Kafka by Maven, once …\n'))
  return await startBroker({ properties: keepsAll, options: quick })
}
const broker = await startShared().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})

const tap = [
  '--import=./test/support/runner.mjs',
  join('node_modules', 'tap', 'dist', 'esm', 'run.mjs'),
]
const tests = spawn(process.execPath, [...tap, 'run', ...files], {
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
