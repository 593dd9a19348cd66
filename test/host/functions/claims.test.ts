// Functions that cannot run beside each other: refused with both named, taken as soon as they can.
import { defineProcessor, defineView, json, string, topic } from 'millrace'
import t from 'tap'
import { Claims, refuseConflict } from '#host/functions/claims.js'
import { describeDefinition } from '#host/functions/describe.js'
import { testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const describe = (name: string, fields: object) =>
  describeDefinition(
    Reflect.apply(defineProcessor, undefined, [
      { inputs: { [`of-${name}`]: string }, on: { [`of-${name}`]() {} }, ...fields },
    ]),
    { name, namespace: '' },
  )
const reading = (codec: unknown) => ({ inputs: { clicks: codec }, on: { clicks() {} } })
const table = { table: string }
const loop = { loop: string, onLoop() {} }

const conflicts: [what: string, one: object, other: object, message: RegExp][] = [
  ['one group', { group: 'g' }, { group: 'g' }, /the group g, and a group is one function's/],
  ['one group by name', { group: 'b' }, {}, /the group b/],
  ['groups that one folder is for', { group: 'Clicks' }, { group: 'clicks' }, /case alone/],
  ['one table', { ...table, tableTopic: 'x' }, { ...table, tableTopic: 'x' }, /x is the topic of/],
  ['a table that is a loop', { ...table, tableTopic: 'b-loop' }, loop, /b-loop is the topic of/],
  [
    'one stream in two topics',
    reading(topic('x', string)),
    reading(string),
    /"clicks" is the topic x in a and clicks in b/,
  ],
  [
    'one topic as two streams',
    { outputs: { visits: topic('clicks', string) } },
    reading(string),
    /the topic clicks is the stream "visits" in a and "clicks" in b/,
  ],
  [
    'two hashers',
    { hasher: 'fnv1a', outputs: { clicks: string } },
    reading(string),
    /"clicks" are placed by fnv1a in a and by murmur2 in b: .*topic\('clicks', codec, \{ hasher \}\)/,
  ],
]
for (const [what, one, other, message] of conflicts) {
  t.test(`${what}: refused, whichever comes second`, async (t) => {
    const [a, b] = [describe('a', one), describe('b', other)]
    t.throws(() => refuseConflict(a, b), { code: 'FUNCTION_CONFLICT', message })
    t.throws(() => refuseConflict(b, a), {
      code: 'FUNCTION_CONFLICT',
      message: /^b cannot run beside a: /,
      details: { functions: ['b', 'a'] },
    })
  })
}

t.test('a view is read by nobody, and writes nobody’s topic', async (t) => {
  const view = describeDefinition(defineView({ table: 'a-table', codec: string }), {
    name: 'shown',
    namespace: '',
  })
  t.doesNotThrow(() => refuseConflict(view, describe('a', table)))
  t.doesNotThrow(() => refuseConflict(describe('a', table), view))
  t.throws(() => refuseConflict(describe('b', { lookups: { shown: string } }), view), {
    code: 'FUNCTION_CONFLICT',
    message: /b reads shown, which is a view.*topicTable\('a-table', codec/,
  })
})

t.test('functions that agree run beside each other', async (t) => {
  const shared = { ...reading(topic('x', json())), hasher: 'fnv1a' }
  const writing = { outputs: { clicks: topic('x', json(), { hasher: 'fnv1a' }) } }
  t.doesNotThrow(() => refuseConflict(describe('a', shared), describe('b', shared)))
  t.doesNotThrow(() => refuseConflict(describe('a', shared), describe('b', writing)))
})

t.test('while one goes over to another description, both of its own are its', async (t) => {
  let released = 0
  const claims = new Claims(() => released++)
  const g = (name: string, group: string) => describe(name, { group })
  claims.claim(g('a', 'one')).keep()
  const going = claims.claim(g('a', 'two'))
  for (const group of ['one', 'two']) {
    t.throws(() => claims.claim(g('b', group)), { code: 'FUNCTION_CONFLICT' })
  }
  t.equal(released, 0)
  going.keep()
  t.equal(released, 1)
  claims.claim(g('b', 'one')).keep()
  const back = claims.claim(g('b', 'three'))
  back.withdraw()
  claims.claim(g('c', 'three')).keep()
  t.throws(() => claims.claim(g('c', 'one')), { code: 'FUNCTION_CONFLICT' }, 'b has it still')
  claims.release('b')
  t.doesNotThrow(() => claims.claim(g('c', 'one')))
})

const source = (fields: string, step = 1) => `
import { defineProcessor, json, topic } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<number>(),
  on: { clicks: (ctx) => ctx.set((ctx.get() ?? 0) + ${step}) },
  ${fields}
})`

t.test('a save that does not agree is refused, the version before goes on', async (t) => {
  const host = await testHost(t, { functions: { 'one.ts': source(''), 'two.ts': source('') } })
  await host.untilStatus('two', 'running')
  host.save('two.ts', source(`group: 'one',`))
  const refused = await host.untilStatus('two', ({ error }) => error !== null)
  t.match(refused, {
    state: 'running',
    error: {
      code: 'FUNCTION_CONFLICT',
      message: /^two cannot run beside one: they have the group one/,
    },
  })
  t.equal(await host.view('two', 'ada', await host.emit('clicks', 'ada', 'x')), 1)
  host.remove('one.ts')
  await until('two has taken the group over', () =>
    host.host.catalog
      .topology()
      .functions.some(({ name, group }) => name === 'two' && group === 'one'),
  )
  await host.untilStatus('two', ({ state, error }) => state === 'running' && error === null)
  t.equal(await host.view('two', 'ada', await host.emit('clicks', 'ada', 'x')), 2, 'and its table')
})

t.test('a function that came second runs as soon as the first agrees', async (t) => {
  const host = await testHost(t, { functions: { 'one.ts': source(`hasher: 'fnv1a',`) } })
  await host.untilStatus('one', 'running')
  host.save('two.ts', source(''))
  const refused = await host.untilStatus('two', 'halted')
  t.match(refused.error, { code: 'FUNCTION_CONFLICT', message: /two cannot run beside one/ })
  t.match(host.host.catalog.stream('clicks'), { hasher: 'fnv1a', codecs: { length: 1 } })
  host.save('one.ts', source(''))
  await host.untilStatus('two', ({ state, error }) => state === 'running' && error === null)
  const token = await host.emit('clicks', 'ada', 'x')
  for (const name of ['one', 'two']) t.equal(await host.view(name, 'ada', token), 1)
})
