// Saves as editors and people make them: many at once, in pieces, renamed, deleted, made anew, and those of a dependency.
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { testHost } from '../support/host.js'
import { click, count, untilStep, write } from '../support/stepper.js'
import { until } from '../support/until.js'

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
