// Loading: a bundle runs with the host's SDK and with timers that end with its version.
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { defineProcessor, string } from 'millrace'
import t from 'tap'
import { type LoadedBundle, loadBundle } from '#host/functions/load.js'
import { createProject } from './project.js'

const load = (code: string, version = '000000000000'): LoadedBundle =>
  loadBundle({ code, file: '/project/functions/a.ts', name: 'a', version })

/** What the code put into `exports.default`. */
const defaultOf = (code: string): unknown => load(code).definition

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Set after the timers under test, for longer than they are: once it goes off, they would have. */
const later = () => new Promise((resolve) => setTimeout(resolve, 3))

void t.test('a function file is given the SDK of the host', async (t) => {
  const { bundle } = createProject(t)
  const built = await bundle(
    'a.ts',
    `import * as all from 'millrace'
     import { defineProcessor, string } from 'millrace'
     export default { defineProcessor, string, all, later: () => import('millrace') }`,
  )
  const { definition } = loadBundle(built)
  t.match(definition, { defineProcessor: Function, string: { kind: 'string' } })
  const { later, ...given } = Object(definition)
  t.equal(given.defineProcessor, defineProcessor)
  t.equal(given.string, string)
  t.equal(given.all.string, string)
  t.equal((await later()).string, string, 'by import(), too')
})

void t.test('a file finds itself, Node, and nothing else of millrace', async (t) => {
  t.same(defaultOf('exports.default = [__filename, __dirname]'), [
    '/project/functions/a.ts',
    '/project/functions',
  ])
  t.equal(defaultOf(`exports.default = require('node:events').once`), once)
  t.equal(defaultOf(`exports.default = require('events').once`), once)
  t.throws(() => load(`require('millrace/testing')`), { message: /imports 'millrace' only/ })
  t.throws(() => load(`require('not-there')`), { code: 'MODULE_NOT_FOUND' })
})

void t.test('without a default export there is no definition', async (t) => {
  t.equal(defaultOf(''), undefined)
  t.equal(defaultOf('exports.other = 1'), undefined)
  t.equal(defaultOf('module.exports = 7'), undefined)
  t.equal(defaultOf('module.exports = null'), undefined)
})

void t.test('what throws at load is thrown, under a file name of its version', async (t) => {
  t.throws(() => load(`\n  throw new RangeError('no')`, 'abc123'), {
    name: 'RangeError',
    stack: /millrace:\/\/a@abc123\.js:2:9/,
  })
})

const timers: [what: string, code: string][] = [
  ['setTimeout', 'setTimeout(hit, 0)'],
  ['setInterval', 'setInterval(hit, 0)'],
  ['setImmediate', 'setImmediate(hit)'],
  ['node:timers', `require('node:timers').setTimeout(hit, 0)`],
  ['timers', `require('timers').setInterval(hit, 0)`],
  ['timers/promises setTimeout', `require('timers/promises').setTimeout(0).then(hit)`],
  ['timers/promises setImmediate', `require('node:timers/promises').setImmediate().then(hit)`],
  [
    'timers/promises setInterval',
    `(async () => { for await (const _ of require('node:timers/promises').setInterval(0)) hit() })()`,
  ],
  ['scheduler.wait', `require('node:timers/promises').scheduler.wait(0).then(hit)`],
  ['timers.promises', `require('timers').promises.setTimeout(0).then(hit)`],
  ['promisify(setTimeout)', `require('util').promisify(setTimeout)(0).then(hit)`],
]
for (const [what, code] of timers) {
  void t.test(`${what} works, ends with its version, and does nothing afterwards`, async (t) => {
    const loaded = load(`let hits = 0, wake = () => {}
      const hit = () => { hits++; wake() }
      exports.default = { start: () => { ${code} }, hits: () => hits, hit: () => new Promise((resolve) => { wake = resolve }) }`)
    const program = Object(loaded.definition)
    const first = program.hit()
    program.start()
    await first
    t.ok(program.hits() >= 1, 'it works')
    await turn()

    program.start()
    loaded.dispose()
    const before = program.hits()
    program.start()
    await later()
    t.equal(program.hits(), before)
    loaded.dispose()
  })
}

void t.test('timers are as in Node: values, this, clearing, abort signals', async (t) => {
  const values = await new Promise((resolve) => {
    Object(
      defaultOf(
        `exports.default = { go: (resolve) => setTimeout(function (...all) { resolve([all, typeof this.refresh]) }, 0, 1, 2) }`,
      ),
    ).go(resolve)
  })
  t.same(values, [[1, 2], 'function'])
  t.throws(() => load('setTimeout("code")'), { name: 'TypeError' })
  t.equal(
    await Object(
      defaultOf(
        `exports.default = { go: () => require('timers/promises').setTimeout(0, 'value') }`,
      ),
    ).go(),
    'value',
  )
  const cleared = Object(
    defaultOf(`let hits = 0
      exports.default = { hits: () => hits }
      clearTimeout(setTimeout(() => hits++, 0))
      clearTimeout(+setTimeout(() => hits++, 0))
      clearInterval(setInterval(() => hits++, 0))
      clearImmediate(setImmediate(() => hits++))
      clearTimeout(undefined)`),
  )
  await later()
  t.equal(cleared.hits(), 0)
  const wait = Object(
    defaultOf(
      `exports.default = { go: (signal) => require('timers/promises').setTimeout(1e6, 0, { signal }) }`,
    ),
  )
  const abort = new AbortController()
  const waiting = wait.go(abort.signal)
  abort.abort(new Error('why'))
  await t.rejects(waiting, { name: 'AbortError', code: 'ABORT_ERR', cause: { message: 'why' } })
  await t.rejects(wait.go(abort.signal), { name: 'AbortError' })
})

void t.test('a load that throws leaves no timer behind', async (t) => {
  const hits: unknown[] = []
  Object.assign(globalThis, { hits })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'hits'))
  t.throws(() =>
    load(
      'setTimeout(() => hits.push(1), 0); setInterval(() => hits.push(2), 0); throw new Error("no")',
    ),
  )
  await later()
  t.same(hits, [])
})

void t.test('nothing of an old version stays over 1,000 swaps', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const { bundle } = createProject(t)
  const built = await bundle(
    'a.ts',
    `import { defineProcessor, json } from 'millrace'
     import { setTimeout as wait } from 'node:timers/promises'
     const table = new Map(Array.from({ length: 1_000 }, (_, n) => [n, { n }]))
     setInterval(() => table.size, 1_000)
     void wait(1e6).then(() => table.clear())
     export default defineProcessor({ inputs: { clicks: json() }, on: { clicks: () => void table.size } })`,
  )
  const old: WeakRef<object>[] = []
  const swap = (n: number) => {
    const version = n.toString(16).padStart(12, '0')
    const loaded = loadBundle({ ...built, version, code: `${built.code}\n// ${n}` })
    old.push(new WeakRef(Object(loaded.definition)))
    loaded.dispose()
  }
  for (let n = 0; n < 1_000; n++) {
    swap(n)
    if (n % 100 === 0) await turn()
  }
  const alive = () => old.filter((version) => version.deref() !== undefined).length
  // A weak reference holds for the turn in which it was made or read.
  for (let n = 0; n < 20 && alive() > 1; n++) {
    await turn()
    collect()
  }
  t.ok(alive() <= 1, `${alive()} of 1,000 are still there`)
})
