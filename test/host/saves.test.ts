// Saves as editors and people make them: many at once, in pieces, renamed, deleted, made anew, and those of a dependency.
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { type HostUnderTest, testHost } from '../support/host.js'
import { until } from '../support/until.js'

/** Counts by key in steps; the last step is in the value. */
const count = (step: number | string = 1, head = '') => `
import { defineProcessor, json } from 'millrace'
${head}
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<{ count: number; step: number }>(),
  on: {
    clicks(ctx) {
      ctx.set({ count: (ctx.get()?.count ?? 0) + ${step}, step: ${step} })
    },
  },
})`

const click = async (host: HostUnderTest, table = 'counter') =>
  Object(await host.view(table, 'ada', await host.emit('clicks', 'ada', 'x')))

/** Clicks until the step that counts is the one. */
const untilStep = (host: HostUnderTest, step: number, table = 'counter') =>
  until(`${table} counts in steps of ${step}`, async () => (await click(host, table)).step === step)

const write = (host: HostUnderTest, name: string, text: string) => {
  mkdirSync(dirname(join(host.root, name)), { recursive: true })
  writeFileSync(join(host.root, name), text)
}

t.test('of many saves within a few milliseconds the last one stays', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  for (let step = 2; step <= 21; step += 1) host.save('counter.ts', count(step))
  await untilStep(host, 21)
  for (let step = 22; step <= 41; step += 1) {
    host.save('counter.ts', count(step))
    await pause(step % 4)
  }
  await untilStep(host, 41)
  host.save('counter.ts', `${count()} const broken = = 1`)
  host.save('counter.ts', count(42))
  await untilStep(host, 42)
  const before = await host.status('counter')
  t.match(before, { state: 'running', error: null })
  t.equal((await click(host)).step, 42, 'nothing came after it')
  t.match(await host.status('counter'), { version: before?.version, swaps: before?.swaps })
})

t.test('a file that is written in two halves is taken whole', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  const file = join(host.root, 'functions', 'counter.ts')
  let step = 1
  for (const delayMs of [0, 1, 2, 5, 10, 15, 20, 25, 30, 40, 60]) {
    step += 1
    const text = count(step)
    const half = text.indexOf('on: {')
    writeFileSync(file, text.slice(0, half))
    await pause(delayMs)
    appendFileSync(file, text.slice(half))
    await untilStep(host, step)
    // The first half alone is a function, too.
    step += 1
    writeFileSync(
      file,
      count(1_000 + step, 'let extra = 0').replaceAll(
        String(1_000 + step),
        `${1_000 + step} + extra`,
      ),
    )
    await pause(delayMs)
    appendFileSync(file, `\nextra = ${step} - ${1_000 + step}`)
    await untilStep(host, step)
  }
  t.match(await host.status('counter'), { state: 'running', error: null })
})

t.test('an empty file is one that is being written', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  for (let step = 2; step <= 4; step += 1) {
    write(host, 'functions/counter.ts', '')
    await pause(60)
    host.save('counter.ts', count(step))
    await untilStep(host, step)
  }
  t.notMatch(host.lines.join(''), /the save was refused/)
  write(host, 'functions/counter.ts', '')
  const { error } = await host.untilStatus('counter', (status) => status.error !== null)
  t.match(error, { code: 'BAD_DEFINITION' }, 'one that stays empty is refused')
  t.equal((await click(host)).step, 4, 'and the running version goes on')
})

t.test('a save that never finishes loading hurts nobody', async (t) => {
  const host = await testHost(t, {
    functions: { 'counter.ts': count(), 'other.ts': count() },
    env: { MILLRACE_LIMITS_LOAD_MS: '1500' },
  })
  await click(host)
  const before = Number((await click(host, 'other')).count)
  host.save('counter.ts', `for (;;) {}\n${count(2)}`)
  let meanwhile = 0
  await until('the save is refused', async () => {
    t.equal((await click(host)).step, 1)
    await click(host, 'other')
    meanwhile += 1
    return (await host.status('counter'))?.error?.code === 'LOAD_TIMEOUT'
  })
  t.ok(meanwhile > 1, `${meanwhile} records of each were counted while it hung`)
  t.match(await host.status('counter'), {
    state: 'running',
    swaps: 0,
    error: { message: /not loaded within 1500 ms: look for a loop/, file: /counter\.ts$/ },
  })
  t.ok((await click(host, 'other')).count > before)
  host.save('counter.ts', count(3))
  await untilStep(host, 3)
  t.match(await host.status('counter'), { swaps: 1, error: null })
})

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
  t.equal((await host.status('counter'))?.lag, 0)
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
