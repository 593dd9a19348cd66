import { execFileSync } from 'node:child_process'
import t from 'tap'

const tap = 'node_modules/tap/dist/esm/run.mjs'

t.test('the longest files on Kafka begin first, whatever tap sorts by', async (t) => {
  const listed = (...options: string[]) =>
    execFileSync(process.execPath, [...options, tap, 'list', 'test-kafka'], { encoding: 'utf8' })
      .trim()
      .split('\n')
  const usual = listed()
  const ordered = listed('--import=./test/support/longest-first.mjs')
  t.equal(ordered[0], 'test-kafka/trouble.test.ts')
  t.strictSame(
    ordered.slice(0, 2).concat(ordered.slice(18, 20)),
    ['trouble', 'failover', 'conformance', 'control'].map((name) => `test-kafka/${name}.test.ts`),
    'those that are named, and the others by their names',
  )
  t.strictSame(ordered.toSorted(), usual.toSorted(), 'and all of them')
})
