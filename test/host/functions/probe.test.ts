// The probe: what a file is, or everything that is wrong with it, and never any harm to the host.
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  bytes,
  defineProcessor,
  defineView,
  int64,
  json,
  keyed,
  keyOf,
  string,
  topic,
  topicTable,
} from 'millrace'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { describeDefinition } from '#host/functions/describe.js'
import { Probe, type ProbeOptions } from '#host/functions/probe.js'
import { until } from '../../support/until.js'
import { createProject, rejection } from './project.js'

const noop = () => undefined
const inputs = { clicks: string }
const on = { clicks: noop }

/** As from a JavaScript file, where no compiler has looked. */
const define = (fields: unknown): unknown => Reflect.apply(defineProcessor, undefined, [fields])
const describe = (definition: unknown, namespace = '') =>
  describeDefinition(definition, { name: 'click-count', namespace })

async function problemsOf(
  definition: unknown,
  namespace = '',
): Promise<{ at: string; message: string }[]> {
  const error = await rejection(async () => describe(definition, namespace))
  if (error.code !== 'BAD_DEFINITION') throw error
  return Object(error.details).problems
}

function createProbe(t: Test, options?: ProbeOptions): Probe {
  const probe = new Probe(options)
  t.teardown(() => probe[Symbol.asyncDispose]())
  return probe
}

void t.test('a definition is described with its topics, codecs and defaults', async (t) => {
  const own = { encode: () => new Uint8Array(), decode: () => 1, kind: 'json' }
  const full = defineProcessor({
    inputs: { clicks: json<string>(), 'a.b_c-D': own, z: json(z.string()) },
    table: int64,
    outputs: { pages: string },
    loop: bytes,
    joins: { profiles: json() },
    lookups: { prices: topicTable('prices.v2', int64, { hasher: 'fnv1a' }) },
    on: { clicks() {}, 'a.b_c-D'() {}, z() {} },
    onLoop() {},
    onError: 'skip',
    retry: { attempts: 1 },
    tombstones: 'decode',
    concurrency: 4,
    delivery: 'at-least-once',
    standby: 2,
    recoverAhead: true,
    views: 'replicate',
    visitors: { reset: noop },
  })
  t.strictSame(describe(full, 'shop.'), {
    kind: 'processor',
    name: 'click-count',
    group: 'shop.click-count',
    hasher: 'murmur2',
    keys: null,
    store: 'level',
    inputs: [
      { stream: 'clicks', topic: 'shop.clicks', hasher: 'murmur2', codec: 'json' },
      { stream: 'a.b_c-D', topic: 'shop.a.b_c-D', hasher: 'murmur2', codec: 'custom' },
      { stream: 'z', topic: 'shop.z', hasher: 'murmur2', codec: 'schema' },
    ],
    outputs: [{ stream: 'pages', topic: 'shop.pages', hasher: 'murmur2', codec: 'string' }],
    table: {
      stream: 'click-count',
      topic: 'shop.click-count-table',
      hasher: 'murmur2',
      codec: 'int64',
    },
    loop: {
      stream: 'click-count-loop',
      topic: 'shop.click-count-loop',
      hasher: 'murmur2',
      codec: 'bytes',
    },
    visitors: ['reset'],
    joins: [{ stream: 'profiles', topic: 'shop.profiles-table', hasher: 'murmur2', codec: 'json' }],
    lookups: [
      {
        stream: 'prices',
        topic: 'prices.v2',
        hasher: 'fnv1a',
        codec: 'int64',
        isByTopic: true,
      },
    ],
    replicas: { standby: 2, recoverAhead: true, views: 'replicate' },
    options: {
      onError: 'skip',
      retry: { attempts: 1, backoffMs: 100 },
      tombstones: 'decode',
      concurrency: 4,
      delivery: 'at-least-once',
      onDataLoss: 'halt',
    },
  })
  t.match(describe(define({ inputs, on })), {
    outputs: [],
    table: null,
    loop: null,
    store: 'level',
    visitors: [],
    joins: [],
    lookups: [],
    replicas: { standby: 0, recoverAhead: false, views: 'routing' },
    options: {
      onError: 'halt',
      retry: { attempts: 3, backoffMs: 100 },
      onDataLoss: 'halt',
      tombstones: 'ignore',
      concurrency: 1,
      delivery: 'exactly-once',
    },
  })
})

void t.test('a revision has a group, a table and a loop of its own', async (t) => {
  const revision = (given: unknown) =>
    describe(
      define({ inputs, on, table: int64, loop: string, onLoop: noop, revision: given }),
      'x.',
    )
  t.match(revision(2), {
    group: 'x.click-count.2',
    table: { stream: 'click-count', topic: 'x.click-count.2-table' },
    loop: { topic: 'x.click-count.2-loop' },
    inputs: [{ topic: 'x.clicks' }],
  })
  t.same(revision('2'), revision(2))
  t.match(revision(0), { group: 'x.click-count.0' })
  t.match(revision('by-month'), { group: 'x.click-count.by-month' })
})

void t.test('of keys their parts are known, or that they are the user’s own', (t) => {
  const keysOf = (keys: unknown) => describe(define({ inputs, on, keys })).keys
  t.same(keysOf(undefined), null)
  t.same(keysOf(keyOf({ user: 'text', day: 'integer' })), { user: 'text', day: 'integer' })
  t.equal(keysOf({ encode: String, decode: Number }), 'custom')
  t.end()
})

void t.test('a store is one of the host’s, or anything that can be opened', (t) => {
  class Opened {
    open() {}
  }
  const kindOf = (store: unknown) => describe(define({ inputs, on, table: string, store })).store
  t.equal(kindOf(undefined), 'level')
  t.equal(kindOf('memory'), 'memory')
  t.equal(kindOf(new Opened()), 'own')
  const copying = define({ inputs, on, lookups: { names: string }, store: 'memory' })
  t.equal(describe(copying).store, 'memory', 'copies lie there, too')
  t.end()
})

void t.test('names of the log are taken as they are, without the namespace', async (t) => {
  class Celsius {
    readonly #unit = 'C'
    encode(value: number) {
      return Buffer.from(`${value} ${this.#unit}`)
    }
    decode(from: Uint8Array) {
      return Number.parseFloat(`${Buffer.from(from)}${this.#unit}`)
    }
  }
  const given = defineProcessor({
    group: 'Goka.Group_1',
    hasher: 'fnv1a',
    inputs: { clicks: topic('prod.clicks', json<string>()), heat: topic('heat', new Celsius()) },
    table: int64,
    loop: string,
    outputs: { pages: string, sums: topic('prod.sums', int64, { hasher: 'murmur2' }) },
    on: { clicks() {}, heat() {} },
    onLoop() {},
  })
  const described = describe(given, 'shop.')
  t.match(described, {
    group: 'Goka.Group_1',
    hasher: 'fnv1a',
    inputs: [
      { stream: 'clicks', topic: 'prod.clicks', hasher: 'fnv1a', codec: 'json' },
      { stream: 'heat', topic: 'heat', hasher: 'fnv1a', codec: 'custom' },
    ],
    outputs: [
      { stream: 'pages', topic: 'shop.pages', hasher: 'fnv1a' },
      { stream: 'sums', topic: 'prod.sums', hasher: 'murmur2', codec: 'int64' },
    ],
    table: { stream: 'click-count', topic: 'Goka.Group_1-table', hasher: 'fnv1a' },
    loop: { topic: 'Goka.Group_1-loop', hasher: 'fnv1a' },
  })
  const { heat } = given.inputs
  t.equal(heat.decode(heat.encode(21.5)), 21.5, 'a codec that is an instance keeps what is its own')
  const own = { table: int64, loop: string, onLoop: noop }
  const named = define({ inputs, on, ...own, tableTopic: 'totals', loopTopic: 'again' })
  t.match(describe(named, 'shop.'), {
    group: 'shop.click-count',
    hasher: 'murmur2',
    table: { topic: 'totals' },
    loop: { topic: 'again' },
  })
  t.throws(() => Reflect.apply(topic, undefined, ['clicks', json]), /is no codec/)
})

void t.test('a definition is frozen and keeps what it was given', async (t) => {
  const given = { inputs, on }
  const definition = defineProcessor(given)
  t.equal(definition.inputs, inputs)
  t.ok(Object.isFrozen(definition))
  t.notOk(Object.isFrozen(given))
  t.throws(() => define(undefined), { name: 'TypeError' })
  t.throws(() => define('clicks'), { name: 'TypeError' })
})

const wrong: [what: string, fields: Record<string, unknown>, at: string, message: RegExp][] = [
  ['no inputs', { on: {} }, 'inputs', /at least one stream/],
  ['joins that are no object', { inputs, on, joins: [] }, 'joins', /codecs by table.*an array/],
  ['a join without a codec', { inputs, on, joins: { a: {} } }, 'joins.a', /a codec is needed/],
  ['a join that no function can be', { inputs, on, joins: { A: int64 } }, 'joins.A', /topicTable/],
  [
    'a lookup of its own table',
    { inputs, on, table: int64, lookups: { 'click-count': int64 } },
    'lookups.click-count',
    /own table: use ctx.get/,
  ],
  [
    'a stream for a table',
    { inputs, on, lookups: { a: topic('x', int64) } },
    'lookups.a',
    /topicTable/,
  ],
  [
    'a table in a topic that cannot be',
    { inputs, on, lookups: { a: topicTable('x y', int64) } },
    'lookups.a',
    /1 to 249 letters/,
  ],
  [
    'a join whose keys are placed otherwise',
    { inputs, on, joins: { a: topicTable('x', int64, { hasher: 'fnv1a' }) } },
    'joins.a',
    /fnv1a.*murmur2.*as a lookup/,
  ],
  [
    'migrate without a table',
    { inputs, on, migrate: { from: string, to: noop } },
    'migrate',
    /no table/,
  ],
  [
    'migrate for bytes',
    { inputs, on, table: bytes, migrate: { from: string, to: noop } },
    'migrate',
    /never be asked/,
  ],
  [
    'migrate that is a function',
    { inputs, on, table: int64, migrate: noop },
    'migrate',
    /an object like \{ from/,
  ],
  [
    'migrate without its codec',
    { inputs, on, table: int64, migrate: { to: noop } },
    'migrate.from',
    /a codec is needed/,
  ],
  [
    'migrate without its function',
    { inputs, on, table: int64, migrate: { from: string } },
    'migrate.to',
    /a function is needed/,
  ],
  [
    'a part that migrate has not',
    { inputs, on, table: int64, migrate: { from: string, to: noop, form: 1 } },
    'migrate.form',
    /no such option/,
  ],
  ['a revision below 0', { inputs, on, revision: -1 }, 'revision', /whole number from 0/],
  [
    'a revision that is a word with a point',
    { inputs, on, revision: 'v1.2' },
    'revision',
    /small letters/,
  ],
  [
    'a group that is a path',
    { inputs, on, group: '../other' },
    'group',
    /letters, digits.*as it is/,
  ],
  ['a group without a letter', { inputs, on, group: '' }, 'group', /1 to 243/],
  ['a group that is too long', { inputs, on, group: 'g'.repeat(244) }, 'group', /1 to 243/],
  ['a group that is no text', { inputs, on, group: null }, 'group', /not null/],
  [
    'a group whose store would be where another has its notes',
    { inputs, on, group: 'other.inputs.json' },
    'group',
    /letters/,
  ],
  ['a topic of no table', { inputs, on, tableTopic: 'x' }, 'tableTopic', /no table/],
  ['a topic of no loop', { inputs, on, loopTopic: 'x' }, 'loopTopic', /no loop/],
  [
    'a table’s topic with a space',
    { inputs, on, table: string, tableTopic: 'a b' },
    'tableTopic',
    /letters, digits.*"a b"/,
  ],
  [
    'one topic for table and loop',
    { inputs, on, table: string, loop: string, onLoop: noop, tableTopic: 'x', loopTopic: 'x' },
    'loopTopic',
    /x is the table's topic/,
  ],
  [
    'a revision of a group that is named',
    { inputs, on, group: 'g', revision: 2 },
    'revision',
    /group, table and loop other names, and group says one/,
  ],
  ['an unknown hasher', { inputs, on, hasher: 'fnv1' }, 'hasher', /did you mean fnv1a/],
  [
    'a table with topic()',
    { inputs, on, table: topic('x', string) },
    'table',
    /say tableTopic: '…'/,
  ],
  [
    'an input of another hasher than the function’s',
    { inputs: { clicks: topic('x', string, { hasher: 'fnv1a' }) }, on },
    'inputs.clicks',
    /give the function hasher: 'fnv1a'/,
  ],
  [
    'a topic’s name that is none',
    { inputs: { clicks: topic('a/b', string) }, on },
    'inputs.clicks',
    /letters, digits.*"a\/b"/,
  ],
  [
    'an unknown option of topic()',
    { inputs: { clicks: Reflect.apply(topic, undefined, ['x', string, { hash: 1 }]) }, on },
    'inputs.clicks.hash',
    /no such option/,
  ],
  [
    'one topic under two names',
    { inputs: { clicks: topic('x', string), x: string }, on: { ...on, x: noop } },
    'inputs.x',
    /the topic x is the stream "x" here and "clicks" there/,
  ],
  [
    'one stream in two topics',
    { inputs, on, outputs: { clicks: topic('x', string) } },
    'outputs.clicks',
    /"clicks" is the topic x here and clicks there/,
  ],
  [
    'an output of its own input with another hasher',
    { inputs, on, outputs: { clicks: topic('clicks', string, { hasher: 'fnv1a' }) } },
    'outputs.clicks',
    /by fnv1a here and by murmur2 there/,
  ],
  [
    'its own table as a stream’s topic',
    { inputs, on, table: string, tableTopic: 'x', outputs: { totals: topic('x', string) } },
    'outputs.totals',
    /x is the function's own table/,
  ],
  ['empty inputs', { inputs: {}, on: {} }, 'inputs', /at least one stream/],
  [
    'inputs that are a list',
    { inputs: ['clicks'], on },
    'inputs',
    /an object of codecs.*not an array/,
  ],
  ['inputs that are a codec', { inputs: string, on }, 'inputs', /an object of codecs/],
  [
    'an input without a codec',
    { inputs: { clicks: 'json' }, on },
    'inputs.clicks',
    /codec is needed.*not "json"/,
  ],
  ['a codec that was not called', { inputs: { clicks: json }, on }, 'inputs.clicks', /json\(\)/],
  [
    'half a codec',
    { inputs: { clicks: { encode: noop } }, on },
    'inputs.clicks',
    /encode and decode/,
  ],
  [
    'a bad stream name',
    { inputs: { 'a b': string }, on: { 'a b': noop } },
    'inputs.a b',
    /letters, digits/,
  ],
  ['a stream named ..', { inputs: { '..': string }, on: { '..': noop } }, 'inputs...', /neither/],
  ['no handlers', { inputs }, 'on.clicks', /has no handler/],
  ['handlers that are a function', { inputs, on: noop }, 'on', /an object of handlers/],
  [
    'a missing handler',
    { inputs: { clicks: string, views: string }, on },
    'on.views',
    /has no handler/,
  ],
  [
    'a handler that is none',
    { inputs, on: { clicks: 7 } },
    'on.clicks',
    /a function is needed, not 7/,
  ],
  [
    'a handler for no input',
    { inputs, on: { clicks: noop, clikcs: noop } },
    'on.clikcs',
    /did you mean clicks/,
  ],
  [
    'an inherited handler',
    { inputs: { toString: string }, on: {} },
    'on.toString',
    /has no handler/,
  ],
  ['a table that is no codec', { inputs, on, table: {} }, 'table', /codec is needed/],
  ['a table that is null', { inputs, on, table: null }, 'table', /codec is needed.*not null/],
  ['an output that is no codec', { inputs, on, outputs: { a: 1 } }, 'outputs.a', /codec is needed/],
  ['a loop without onLoop', { inputs, on, loop: string }, 'onLoop', /needs its handler/],
  ['onLoop without a loop', { inputs, on, onLoop: noop }, 'onLoop', /no loop/],
  [
    'onLoop that is none',
    { inputs, on, loop: string, onLoop: 'f' },
    'onLoop',
    /a function is needed/,
  ],
  [
    'an unknown option',
    { inputs, on, tabel: string },
    'tabel',
    /no such option; did you mean table\?/,
  ],
  [
    'another unknown option',
    { inputs, on, whatever: 1 },
    'whatever',
    /no such option; options are inputs, /,
  ],
  [
    'an unknown onError',
    { inputs, on, onError: 'skpi' },
    'onError',
    /halt, skip.*"skpi"; did you mean skip/,
  ],
  [
    'an unknown tombstones',
    { inputs, on, tombstones: true },
    'tombstones',
    /ignore, process, decode.*true/,
  ],
  ['a retry that is a number', { inputs, on, retry: 3 }, 'retry', /attempts: 3/],
  ['no attempt at all', { inputs, on, retry: { attempts: 0 } }, 'retry.attempts', /from 1 to/],
  [
    'an unknown delivery',
    { inputs, on, delivery: 'at-most-once' },
    'delivery',
    /exactly-once, at-least-once.*at-most-once/,
  ],
  ['no concurrency', { inputs, on, concurrency: 0 }, 'concurrency', /from 1 to 1024/],
  ['copies of no table', { inputs, on, standby: 1 }, 'standby', /no table .*add table/],
  ['no table to recover', { inputs, on, recoverAhead: false }, 'recoverAhead', /no table/],
  ['no table to replicate', { inputs, on, views: 'replicate' }, 'views', /no table/],
  ['half a copy', { inputs, on, table: string, standby: 0.5 }, 'standby', /from 0 to 100.*0\.5/],
  [
    'recovering ahead, in words',
    { inputs, on, table: string, recoverAhead: 'yes' },
    'recoverAhead',
    /true or false.*yes/,
  ],
  [
    'views of another kind',
    { inputs, on, table: string, views: 'replicated' },
    'views',
    /routing, replicate.*did you mean replicate/,
  ],
  ['a broken attempt', { inputs, on, retry: { attempts: 1.5 } }, 'retry.attempts', /whole number/],
  ['a negative wait', { inputs, on, retry: { backoffMs: -1 } }, 'retry.backoffMs', /from 0 to/],
  [
    'an unknown field of retry',
    { inputs, on, retry: { attempt: 1 } },
    'retry.attempt',
    /did you mean attempts/,
  ],
  [
    'its own table as output',
    { inputs, on, table: string, outputs: { 'click-count-table': string } },
    'outputs.click-count-table',
    /own table/,
  ],
  [
    'its own table as input',
    { inputs: { 'click-count-table': string }, on: { 'click-count-table': noop }, table: string },
    'inputs.click-count-table',
    /own table/,
  ],
  [
    'its own loop as output',
    { inputs, on, loop: string, onLoop: noop, outputs: { 'click-count-loop': string } },
    'outputs.click-count-loop',
    /own loop/,
  ],
  ['keys that are a text', { inputs, on, keys: 'text' }, 'keys', /keyOf\(/],
  [
    'keys of its own for an input',
    { inputs: { clicks: keyed(keyOf({ a: 'text' }), string) }, on },
    'inputs.clicks',
    /keyed is for outputs and lookups/,
  ],
  [
    'keys of its own for the table',
    { inputs, on, table: keyed(keyOf({ a: 'text' }), string) },
    'table',
    /keyed is for/,
  ],
  [
    'an unknown store',
    { inputs, on, table: string, store: 'memroy' },
    'store',
    /level, memory.*did you mean memory/,
  ],
  [
    'a store that cannot be opened',
    { inputs, on, table: string, store: {} },
    'store.open',
    /a function/,
  ],
  [
    'a store that is a function',
    { inputs, on, table: string, store: noop },
    'store',
    /an object with open/,
  ],
  ['a store for nothing', { inputs, on, store: 'memory' }, 'store', /add table/],
  ['headers that are a text', { inputs, on, headers: 'web' }, 'headers', /source: 'web'/],
  [
    'a header that is no text',
    { inputs, on, headers: { source: 'web', retries: 3 } },
    'headers.retries',
    /a text is needed, not 3/,
  ],
  [
    'a header whose name is too long',
    { inputs, on, headers: { ['n'.repeat(1_025)]: '' } },
    'headers',
    /allowed are 1024/,
  ],
  ['middleware that is none', { inputs, on, wrap: { time: noop } }, 'wrap', /a function is needed/],
  [
    'middleware that is none, among others',
    { inputs, on, wrap: [(next: unknown) => next, 1] },
    'wrap[1]',
    /a function is needed, not 1/,
  ],
  [
    'middleware that gives nothing back',
    { inputs, on, wrap: noop },
    'wrap',
    /return \(ctx, value\) => next\(ctx, value\), not undefined/,
  ],
  [
    'middleware that throws',
    {
      inputs,
      on,
      wrap: () => {
        throw new Error('no luck')
      },
    },
    'wrap',
    /threw when it was given a handler: no luck/,
  ],
  [
    'visitors without a table',
    { inputs, on, visitors: { clear: noop } },
    'visitors',
    /there is no table/,
  ],
  [
    'a visitor that is no function',
    { inputs, on, table: string, visitors: { clear: 1 } },
    'visitors.clear',
    /a function is needed, not 1/,
  ],
  [
    'a visitor with a name that is none',
    { inputs, on, table: string, visitors: { 'clear all': noop } },
    'visitors.clear all',
    /letters, digits/,
  ],
  [
    'visitors that are one function',
    { inputs, on, table: string, visitors: noop },
    'visitors',
    /an object of visitors/,
  ],
]
for (const [what, fields, at, message] of wrong) {
  void t.test(`${what} is refused, with the place in the definition`, async (t) => {
    const problems = await problemsOf(define(fields))
    t.match(problems, [{ at, message }])
    t.equal(problems.length, 1)
  })
}

void t.test('a topic too long for a log is refused', async (t) => {
  const [problem] = await problemsOf(define({ inputs, on, table: string }), 'n'.repeat(245))
  t.match(problem, { at: 'inputs.clicks', message: /249 are allowed/ })
})

void t.test('all problems are told at once', async (t) => {
  const problems = await problemsOf(
    define({ inputs: { a: 1, b: string }, on: { c: 2 }, onError: 7, x: 1 }),
  )
  t.same(problems.map(({ at }) => at).sort(), ['inputs.a', 'on.a', 'on.b', 'on.c', 'onError', 'x'])
})

void t.test('what defineProcessor did not make is refused', async (t) => {
  const others: [unknown, RegExp][] = [
    [undefined, /no default export/],
    [{ inputs, on }, /an object, which neither defineProcessor nor defineView made/],
    [noop, /the function noop/],
    [null, /null/],
  ]
  for (const [definition, message] of others)
    t.match(await problemsOf(definition), [{ at: '', message }])
})

const good = `import { defineProcessor, json } from 'millrace'
export default defineProcessor({ inputs: { clicks: json() }, on: { clicks() {} } })
`

void t.test('a good file is described, one after another and at once', async (t) => {
  const { bundle } = createProject(t)
  const probe = createProbe(t)
  const built = await bundle('click-count.ts', good)
  const expected = { name: 'click-count', inputs: [{ topic: 'ns.clicks', codec: 'json' }] }
  t.match(await probe.probe(built, { namespace: 'ns.' }), expected)
  t.match(await probe.probe(built, { namespace: 'ns.' }), expected)
  const both = [probe.probe(built, { namespace: '' }), probe.probe(built, { namespace: 'ns.' })]
  t.match(await Promise.all(both), [{ group: 'click-count' }, expected])
})

const failing: [what: string, text: string, code: string, place: object, message: RegExp][] = [
  [
    'a throw',
    `const a: string = 'x'\n\nthrow new RangeError('no ' + a)`,
    'LOAD_FAILED',
    { line: 3, column: 7, stack: /^RangeError: no x\n {4}at .*a\.ts:3:7\)?$/ },
    /failed to load: RangeError: no x \(.*a\.ts:3:7\)/,
  ],
  ['a throw of what is no error', `throw 'text'`, 'LOAD_FAILED', {}, /text/],
  [
    'a rejection nobody handles',
    `\nvoid Promise.reject(new Error('alone'))\n${good}`,
    'LOAD_FAILED',
    { line: 2 },
    /alone/,
  ],
  ['process.exit', `process.exit(3)`, 'LOAD_FAILED', {}, /ended its thread.*exit code 3/],
  [
    'a wrong definition',
    `import { defineProcessor } from 'millrace'\nconst d =\n  defineProcessor({ on: {} } as never)\nexport default d`,
    'BAD_DEFINITION',
    { line: 3, column: 3, problems: [{ at: 'inputs', line: 3 }] },
    /inputs: at least one.*a\.ts:3:3\)/,
  ],
  [
    'no default export',
    `\nexport const a = 1`,
    'BAD_DEFINITION',
    { line: 1, column: 1 },
    /no default export/,
  ],
  [
    'another default export',
    `const d = { inputs: {} }\nexport default d`,
    'BAD_DEFINITION',
    { line: 2, column: 1 },
    /nor defineView made/,
  ],
  [
    'a wrong call of the SDK',
    `import { json } from 'millrace'\nexport default json({} as never)`,
    'LOAD_FAILED',
    { line: 2, column: 16 },
    /Standard Schema/,
  ],
]
for (const [what, text, code, place, message] of failing) {
  void t.test(`${what} is told with the place in the source`, async (t) => {
    const { bundle, path } = createProject(t)
    const probe = createProbe(t)
    const built = await bundle('a.ts', text)
    const error = await rejection(() => probe.probe(built, { namespace: '' }))
    t.match(error, { code, function: 'a' })
    t.match(error.message, message)
    t.match(error.details, {
      file: path('functions/a.ts'),
      ...place,
      inputs: [path('functions/a.ts')],
    })
    if ('line' in place) t.match(error.details, { frame: `> ${place.line} |` })
    const next = await bundle('b.ts', good)
    t.match(
      await probe.probe(next, { namespace: '' }),
      { name: 'b' },
      'the next one is not affected',
    )
  })
}

void t.test('a file that never finishes loading is given up', async (t) => {
  const { bundle } = createProject(t)
  const probe = createProbe(t, { loadMs: 200 })
  const built = await bundle('a.ts', 'for (;;) {}')
  const error = await rejection(() => probe.probe(built, { namespace: '' }))
  t.match(error, { code: 'LOAD_TIMEOUT', function: 'a', message: /within 200 ms/ })
  t.match(await probe.probe(await bundle('b.ts', good), { namespace: '' }), { name: 'b' })
})

void t.test('the time in which the host is frozen does not count', async (t) => {
  const { bundle, path } = createProject(t)
  const probe = createProbe(t, { loadMs: 1_000 })
  const waiting = `
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
writeFileSync(${JSON.stringify(path('loading'))}, '')
while (!existsSync(${JSON.stringify(path('go'))})) {}
`
  const probed = probe.probe(await bundle('a.ts', `${waiting}${good}`), { namespace: '' })
  await until('it is being loaded', () => existsSync(path('loading')))
  // Its thread comes no further meanwhile, as when the whole process is stopped.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500)
  await pause(1)
  writeFileSync(path('go'), '')
  t.match(await probed, { name: 'a' })
})

void t.test('stopping ends what is under way, and what comes later', async (t) => {
  const { bundle } = createProject(t)
  const probe = new Probe()
  const endless = await bundle('a.ts', 'for (;;) {}')
  const waiting = rejection(() => probe.probe(endless, { namespace: '' }))
  await probe[Symbol.asyncDispose]()
  t.match(await waiting, { code: 'STOPPING' })
  t.match(await rejection(() => probe.probe(endless, { namespace: '' })), { code: 'STOPPING' })
  await probe[Symbol.asyncDispose]()
})

void t.test(
  'what the file prints while it loads is seen, and nothing keeps the process',
  async (t) => {
    const { bundle, write } = createProject(t)
    const built = await bundle(
      'a.ts',
      `console.log('to stdout'); console.error('to stderr'); setInterval(() => {}, 1e6)\n${good}`,
    )
    const script = await write(
      'probe.mjs',
      `import { Probe } from ${JSON.stringify(import.meta.resolve('#host/functions/probe.js'))}
     const probe = new Probe()
     await probe.probe(${JSON.stringify(built)}, { namespace: '' })
     await probe[Symbol.asyncDispose]()`,
    )
    const child = spawn(process.execPath, [script])
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data) => (stdout += data))
    child.stderr.on('data', (data) => (stderr += data))
    const code = await new Promise((resolve) => child.on('close', resolve))
    t.match({ code, stdout, stderr }, { code: 0, stdout: 'to stdout\n', stderr: 'to stderr\n' })
  },
)

const storedAs = (topic: string, ...values: string[]) => ({
  table: JSON.stringify(['processor', topic]),
  sample: values.map((value, n) => ({
    partition: n,
    key: Buffer.from(`key ${n}`),
    value: Buffer.from(value),
  })),
})

const counting = (table: string, extra = '') =>
  `import { defineProcessor, int64, json } from 'millrace'
   void [int64, json]
   export default defineProcessor({ inputs: { clicks: json() }, table: ${table}, on: { clicks() {} }, ${extra} })`

void t.test('stored values are decoded by the codec of their table', async (t) => {
  const { bundle } = createProject(t)
  const probe = createProbe(t)
  const built = await bundle('a.ts', counting('int64'))
  const stored = storedAs('a-table', '1', 'two', '3', '4.5')
  const error = await rejection(() => probe.probe(built, { namespace: '', stored }))
  t.match(error, {
    code: 'TABLE_MISMATCH',
    function: 'a',
    partition: 1,
    message: /2 of 4 values .* the key "key 1" \(partition 1\): "two" is no decimal integer/,
    details: { file: /a\.ts$/, line: 3, inputs: built.inputs },
  })
  const taken = { table: { topic: 'a-table' } }
  t.match(await probe.probe(built, { namespace: '', stored: storedAs('a-table', '1') }), taken)
  t.match(
    await probe.probe(built, { namespace: '', stored: storedAs('b-table', 'two') }),
    taken,
    'those of another table tell nothing',
  )
  const migrate = 'migrate: { from: json(), to: (old) => Math.round(Number(old) || 0) },'
  const migrating = await bundle('a.ts', counting('int64', migrate))
  const texts = storedAs('a-table', '"two"', '4.5', '3')
  t.match(await probe.probe(migrating, { namespace: '', stored: texts }), taken)
})

void t.test('a codec that hangs on a stored value is given up', async (t) => {
  const { bundle } = createProject(t)
  const probe = createProbe(t, { loadMs: 300 })
  const endless = '{ encode: () => new Uint8Array(), decode() { for (;;) {} } }'
  const built = await bundle('a.ts', counting(endless))
  t.match(await probe.probe(built, { namespace: '' }), { name: 'a' })
  const stored = storedAs('a-table', '1')
  t.match(await rejection(() => probe.probe(built, { namespace: '', stored })), {
    code: 'LOAD_TIMEOUT',
    message: /was loaded, but its table's codec was not done .* within 300 ms/,
  })
})

for (const [what, fields, at, message] of [
  ['no topic', { codec: string }, 'table', /a name of 1 to 249/],
  ['no codec', { table: 'x' }, 'codec', /a codec is needed/],
  ['an update that is none', { table: 'x', codec: string, update: 7 }, 'update', /a function/],
  [
    'an async update',
    { table: 'x', codec: string, update: async () => {} },
    'update',
    /synchronous/,
  ],
  ['stored without update', { table: 'x', codec: string, stored: int64 }, 'stored', /add update/],
  [
    'inputs',
    { table: 'x', codec: string, inputs: {} },
    'inputs',
    /no such option.*options are table/,
  ],
  ['a store that is none', { table: 'x', codec: string, store: 7 }, 'store', /open is needed/],
] as const) {
  void t.test(`a view with ${what} is refused, with the place in the definition`, async (t) => {
    const problems = await problemsOf(Reflect.apply(defineView, undefined, [fields]))
    t.match(problems, [{ at, message }])
    t.equal(problems.length, 1)
  })
}
