// Files of functions that are renamed, deleted and made anew, and an edited file of which they are made.
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testHost } from '../support/host.js'
import { click, count, untilStep, write } from '../support/stepper.js'
import { until } from '../support/until.js'

t.test('a renamed file is another function, and the former one stops', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  for (let n = 0; n < 3; n += 1) await click(host)
  const path = (name: string) => join(host.root, 'functions', name)
  renameSync(path('counter.ts'), path('tally.ts'))
  await host.untilStatus('tally', 'running')
  await until('the former one is gone', async () => (await host.status('counter')) === undefined)
  t.match(await host.get('/views/counter/ada'), { status: 404 })
  t.match(await click(host, 'tally'), { count: 4 }, 'it reads its input from the oldest record')
  renameSync(path('tally.ts'), path('counter.ts'))
  await host.untilStatus('counter', 'running')
  t.match(await click(host), { count: 5 }, 'the first one goes on where it was')
})

t.test('a file that is deleted and made anew goes on with its table and positions', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count(), 'other.ts': count() } })
  await click(host)
  host.remove('counter.ts')
  await until('it is gone', async () => (await host.status('counter')) === undefined)
  await click(host, 'other')
  await click(host, 'other')
  host.save('counter.ts', count(10))
  await host.untilStatus('counter', 'running')
  t.match(await click(host), { count: 31 }, 'with what came meanwhile, each once')
  for (let round = 0; round < 5; round += 1) {
    host.remove('counter.ts')
    host.save('counter.ts', count(round + 2))
    await untilStep(host, round + 2)
  }
  const other = await click(host, 'other')
  // It has its own pace.
  await host.untilStatus('counter', ({ lag }) => lag === 0)
  t.equal((await host.status('counter'))?.error, null)
  t.ok(other.count > 4)
})

t.test('an edited dependency swaps the functions that it went into', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count(), 'other.ts': count() } })
  const places: [what: string, file: string, from: string][] = [
    ['in another folder', 'lib/deep/step.ts', '../lib/deep/step.js'],
    ['beside it', 'functions/_step.ts', './_step.js'],
    ['of a package that is linked', 'packages/steps/index.js', 'steps'],
    [
      'outside of the project’s folder',
      '../swap-dependency/step.ts',
      '../../swap-dependency/step.js',
    ],
  ]
  write(
    host,
    'packages/steps/package.json',
    '{ "name": "steps", "main": "index.js", "type": "module" }',
  )
  mkdirSync(join(host.root, 'node_modules'), { recursive: true })
  symlinkSync(join(host.root, 'packages/steps'), join(host.root, 'node_modules/steps'))
  t.teardown(() => rmSync(join(host.root, '../swap-dependency'), { recursive: true, force: true }))
  let step = 1
  const next = () => {
    step += 1
    return `export const step = ${step}`
  }
  for (const [what, file, from] of places) {
    write(host, file, next())
    const source = count('step', `import { step } from '${from}'`)
    host.save('counter.ts', source)
    host.save('other.ts', source)
    await untilStep(host, step)
    await untilStep(host, step, 'other')
    write(host, file, next())
    await untilStep(host, step)
    await untilStep(host, step, 'other')

    rmSync(join(host.root, file))
    for (const table of ['counter', 'other']) {
      const refused = await host.untilStatus(table, ({ error }) => error !== null)
      t.match(refused, { state: 'running', error: { code: 'BUILD_FAILED' } }, `deleted: ${what}`)
      t.equal((await click(host, table)).step, step, `the version with it goes on: ${what}`)
    }
    write(host, file, next())
    await untilStep(host, step)
    await untilStep(host, step, 'other')
    t.match(await host.status('counter'), { error: null }, `made anew: ${what}`)
  }
})
