import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const runner = '--import=./test/support/runner.mjs'
const node = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8' })

t.test('the longest files on Kafka begin first, whatever tap sorts by', async (t) => {
  const listed = (...options: string[]) =>
    node(...options, 'node_modules/tap/dist/esm/run.mjs', 'list', 'test-kafka')
      .trim()
      .split('\n')
  const ordered = listed(runner)
  t.strictSame(
    ordered.slice(0, 2).concat(ordered.slice(18, 20)),
    ['trouble', 'failover', 'conformance', 'control'].map((name) => `test-kafka/${name}.test.ts`),
    'those that are named, and the others by their names',
  )
  t.strictSame(ordered.toSorted(), listed().toSorted(), 'and all of them')
})

t.test('a file runs as it was built, without loaders', async (t) => {
  const root = process.cwd()
  const loaders = ['file:///node_modules/@tapjs/mock/import.mjs', './test/support/typescript.mjs']
  const args = [
    ...loaders.map((path) => `--import=${path}`),
    '--import=./test/support/as-shipped.mjs',
    join(root, 'test/host/host.test.ts'),
  ]
  const spawning = `require('node:child_process').spawn('echo', ${JSON.stringify(args)}, { stdio: 'inherit' })`
  t.equal(
    node(runner, '--eval', spawning).trim(),
    `--import=./test/support/as-shipped.mjs ${join(root, 'dist/test/host/host.test.js')}`,
  )
})
