// Keys of several parts through a function: what its handlers see, what lies in the log, and what HTTP has of it.
import { defineProcessor, json, keyed, keyOf, string } from 'millrace'
import { testHost as testKit } from 'millrace/testing'
import t from 'tap'
import { testHost } from '../support/host.js'

const pair = keyOf({ from: 'text', to: 'text' })

const messages = defineProcessor({
  inputs: { messages: json<{ to: string }>() },
  outputs: { contacts: keyed(pair, json<{ at: number }>()), raw: string },
  on: {
    messages(ctx, { to }) {
      ctx.emit('contacts', { from: ctx.key, to }, { at: ctx.timestamp })
      ctx.emit('raw', 'as ever', to)
    },
  },
})
const contacts = defineProcessor({
  keys: pair,
  inputs: { contacts: json<{ at: number }>() },
  table: json<{ count: number; back: number }>(),
  loop: json<{ n: number }>(),
  lookups: { contacts2: keyed(pair, json<{ count: number }>()) },
  on: {
    contacts(ctx) {
      const was = ctx.get() ?? { count: 0, back: 0 }
      ctx.set({ ...was, count: was.count + 1 })
      const { from, to } = ctx.key
      ctx.loopback({ from: to, to: from }, { n: 1 })
    },
  },
  onLoop(ctx, { n }) {
    const was = ctx.get() ?? { count: 0, back: 0 }
    ctx.set({ ...was, back: was.back + n })
  },
  visitors: {
    drop(ctx, { to }: { to: string }) {
      if (ctx.key.to === to) ctx.delete()
    },
  },
})
const contacts2 = defineProcessor({
  keys: pair,
  inputs: { contacts: json<{ at: number }>() },
  table: json<{ count: number }>(),
  on: { contacts: (ctx) => ctx.set({ count: (ctx.get()?.count ?? 0) + 1 }) },
})

t.test('handlers, outputs, loops, visitors and tests have the parts', async (t) => {
  await using host = await testKit({ messages, contacts, contacts2 })
  await host.emit('messages', 'alice', { to: 'bob' })
  await host.emit('messages', 'alice', { to: 'zoe!' })
  await host.emit('contacts', { from: 'a', to: 'b' }, { at: 1 })
  await host.settled()
  t.same(host.table('contacts').get({ from: 'alice', to: 'bob' }), { count: 1, back: 0 })
  t.same(host.table('contacts').get({ from: 'bob', to: 'alice' }), { count: 0, back: 1 })
  t.same(await host.table('contacts').keys({ prefix: pair.prefix({ from: 'alice' }) }), [
    { from: 'alice', to: 'bob' },
    { from: 'alice', to: 'zoe!' },
  ])
  const emitted = host.stream('contacts').records()
  t.same(emitted.map(({ key: { from, to } }) => `${from} ${to}`).sort(), [
    'a b',
    'alice bob',
    'alice zoe!',
  ])
  t.same(
    host
      .stream('raw')
      .records()
      .map(({ key }) => key),
    ['as ever', 'as ever'],
  )
  t.match(await host.visit('contacts', 'drop', { to: 'bob' }), { visited: 6 })
  t.equal(host.table('contacts').has({ from: 'alice', to: 'bob' }), false)
  await t.rejects(host.emit('contacts', 'no pair' as never, { at: 1 }), {
    code: 'BAD_KEY',
    message: /from, to is needed/,
  })
})

t.test('a lookup is made by parts, and a crash changes nothing', async (t) => {
  const seen: unknown[] = []
  const asking = defineProcessor({
    inputs: { asked: json<{ to: string }>() },
    lookups: { contacts2: keyed(pair, json<{ count: number }>()) },
    table: json<number>(),
    on: {
      asked(ctx, { to }) {
        seen.push(ctx.lookup('contacts2', { from: ctx.key, to })?.count)
        ctx.set(1)
      },
    },
  })
  await using host = await testKit({ contacts2, asking }, { seed: 3, faults: true })
  await host.emit('contacts', { from: 'a', to: 'b' }, { at: 1 })
  await host.settled()
  await host.crash({ store: 'lost' })
  await host.emit('contacts', { from: 'a', to: 'b' }, { at: 1 })
  await host.settled()
  await host.emit('asked', 'a', { to: 'b' })
  await host.emit('asked', 'a', { to: 'c' })
  await host.settled()
  t.same(seen.slice(-2), [2, undefined])
})

t.test('a key that does not decode is a record that does not: it is not tried again', async (t) => {
  const numbered = (onError: 'halt' | 'skip') =>
    defineProcessor({
      keys: {
        encode: (n: number) => `n${n}`,
        decode(text: string) {
          if (!/^n\d+$/.test(text)) throw new Error(`${text} has no number`)
          return Number(text.slice(1))
        },
      },
      inputs: { ticks: string },
      table: string,
      onError,
      on: { ticks: (ctx, text) => ctx.set(`${ctx.key + 1} ${text}`) },
    })
  const named = defineProcessor({ inputs: { ticks: string }, on: { ticks() {} } })
  await using host = await testKit({ named, numbered: numbered('halt') })
  await host.emit('ticks', 'seven', 'x')
  await t.rejects(
    host.settled(),
    /numbered has halted at ticks.*offset 0.*"seven".*the key: seven has no number/,
  )
  t.match(host.function('numbered').error, { code: 'UNDECODABLE' })
  await host.swap({ numbered: numbered('skip') })
  await host.emit('ticks', 7, 'y')
  await host.settled()
  t.equal(host.table('numbered').get(7), '8 y')
  t.match(host.function('numbered').skipped, [{ key: 'seven', attempts: 1 }])
})

t.test('what a codec refuses fails the attempt', async (t) => {
  const wrong = defineProcessor({
    inputs: { messages: string },
    outputs: { contacts: keyed(pair, string), odd: keyed({ encode: () => 7 as never, decode: String }, string) }, // biome-ignore format: one line
    retry: { attempts: 1 },
    onError: 'skip',
    on: {
      messages(ctx, text) {
        if (text === 'odd') ctx.emit('odd', 'k', 'v')
        else ctx.emit('contacts', { from: ctx.key } as never, 'v')
      },
    },
  })
  await using host = await testKit({ wrong })
  await host.emit('messages', 'a', 'part')
  await host.emit('messages', 'a', 'odd')
  await host.settled()
  t.match(
    host.function('wrong').skipped.map(({ error }) => error.message),
    [
      /emit\("contacts"\): the key is not taken: to is a text/,
      /what its codec makes of the key is no string/,
    ],
  )
  t.equal(host.stream('contacts').size, 0)
})

t.test('over HTTP a key is its text, and one that no reader could read is refused', async (t) => {
  const host = await testHost(t, {
    functions: {
      'contacts.ts': `
import { defineProcessor, json, keyOf } from 'millrace'
export default defineProcessor({
  keys: keyOf({ from: 'text', day: 'integer' }),
  inputs: { contacts: json<number>() },
  table: json<{ from: string; day: number; sum: number }>(),
  on: { contacts: (ctx, n) => ctx.set({ ...ctx.key, sum: (ctx.get()?.sum ?? 0) + n }) },
})`,
    },
  })
  const key = keyOf({ from: 'text', day: 'integer' })
  let token = ''
  for (const day of [2, 10, -3]) {
    token = await host.emit('contacts', key.encode({ from: 'alice', day }), day)
    t.same(await host.view('contacts', key.encode({ from: 'alice', day }), token), { from: 'alice', day, sum: day }) // biome-ignore format: one line
  }
  await host.view('contacts', 'x', await host.emit('contacts', key.encode({ from: 'alicia', day: 1 }), 1)) // biome-ignore format: one line
  const prefix = encodeURIComponent(key.prefix({ from: 'alice' }))
  const { body } = await host.get(`/views/contacts?prefix=${prefix}`)
  t.match(body, {
    entries: [{ value: { day: -3 } }, { value: { day: 2 } }, { value: { day: 10 } }],
  })
  t.equal((body as { entries: unknown[] }).entries.length, 3)

  const refused = async (path: string, init: RequestInit) => {
    const response = await fetch(host.host.url + path, init)
    return { status: response.status, body: await response.json() }
  }
  t.match(await refused('/emitters/contacts/alice', { method: 'POST', body: '1' }), {
    status: 400,
    body: { error: { code: 'BAD_KEY', message: /none of the stream "contacts": "alice" is no key of from \(text\)!day \(integer\)/ } }, // biome-ignore format: one line
  })
  t.match(await refused('/emitters/contacts/alice!7', { method: 'DELETE' }), { status: 400 })
  const lines = '{"key":"alice!a1","value":1}\n{"key":"alice","value":1}\n'
  t.match(await refused('/emitters/contacts', { method: 'POST', body: lines }), {
    status: 400,
    body: { error: { code: 'BAD_LINE', message: /line 2.*is no key of/ } },
  })
  t.match(await host.status('contacts'), { state: 'running', error: null, records: 4 })
})
