// What HTTP callers may rely on, asked of a whole host over a real socket.
import t from 'tap'
import { type HostUnderTest, testHost } from '../support/host.js'

const functions = {
  'profile.ts': `
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'
export default defineProcessor({
  inputs: { profiles: json(z.object({ name: z.string(), tags: z.array(z.object({ id: z.number() })) })) },
  table: json<{ name: string; tags: number }>(),
  outputs: { greetings: { encode: (v: Date) => Buffer.from(String(v.getTime())), decode: (b: Uint8Array) => new Date(Number(Buffer.from(b).toString())) } },
  tombstones: 'process',
  on: {
    profiles(ctx, profile) {
      if (profile === null) return ctx.delete()
      ctx.set({ name: profile.name, tags: profile.tags.length })
      ctx.emit('greetings', ctx.key, new Date(86_400_000))
    },
  },
})`,
  'greeted.ts': `
import { bytes, defineProcessor, int64, string } from 'millrace'
const day = { encode: (v: Date) => Buffer.from(String(v.getTime())), decode: (b: Uint8Array) => new Date(Number(Buffer.from(b).toString())) }
export default defineProcessor({
  inputs: { greetings: day },
  table: day,
  on: { greetings: (ctx, when) => ctx.set(when) },
})`,
  'words.ts': `
import { defineProcessor, string } from 'millrace'
export default defineProcessor({
  inputs: { words: string },
  table: string,
  on: { words: (ctx, word) => ctx.set((ctx.get() ?? '') + word) },
})`,
  'balance.ts': `
import { defineProcessor, int64 } from 'millrace'
export default defineProcessor({
  inputs: { payments: int64 },
  table: int64,
  on: { payments: (ctx, amount) => ctx.set((ctx.get() ?? 0n) + amount) },
})`,
  'blobs.ts': `
import { bytes, defineProcessor } from 'millrace'
export default defineProcessor({
  inputs: { blobs: bytes },
  table: bytes,
  on: { blobs: (ctx, blob) => ctx.set(blob) },
})`,
}

const post = async (
  host: HostUnderTest,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
) => {
  const response = await fetch(host.host.url + path, {
    method: 'POST',
    body: Buffer.from(body),
    headers,
  })
  return { status: response.status, body: (await response.json()) as { token?: string } }
}

/** Posts and answers the query that makes a read wait for it. */
const emit = async (
  host: HostUnderTest,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
) => {
  const answer = await post(host, path, body, headers)
  if (answer.status !== 201) throw new Error(JSON.stringify(answer))
  return `after=${answer.body.token}`
}

t.test('the whole host', async (t) => {
  const host = await testHost(t, { functions, watch: false })
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(host.host.url + path, { headers })
    return {
      status: response.status,
      type: response.headers.get('content-type') ?? '',
      text: await response.text(),
    }
  }

  await t.test('a schema is asked at the door, with the path of each problem', async (t) => {
    t.match(await post(host, '/emitters/profiles/ada', '{"name":7,"tags":[{"id":1},{"id":"x"}]}'), {
      status: 400,
      body: { error: { code: 'BAD_VALUE', details: [{ path: 'name' }, { path: 'tags[1].id' }] } },
    })
    const after = await emit(host, '/emitters/profiles/ada', '{"name":"Ada","tags":[{"id":1}]}')
    t.match(await get(`/views/profile/ada?${after}`), {
      status: 200,
      text: '{"name":"Ada","tags":1}',
      type: /^application\/json/,
    })
    t.match(
      await get(`/views/greeted/ada?${after}`),
      { status: 200, text: '"1970-01-02T00:00:00.000Z"' },
      'a codec of the user, two hops on',
    )
  })

  await t.test(
    'bad JSON, unknown names, long keys and wrong methods say what is wrong',
    async (t) => {
      t.match(await post(host, '/emitters/words/ada', '{"a":'), {
        status: 400,
        body: { error: { code: 'BAD_JSON' } },
      })
      t.match(await post(host, '/emitters/nothing/ada', '1'), {
        status: 404,
        body: { error: { code: 'UNKNOWN_STREAM', message: /nothing/ } },
      })
      t.match(await get('/views/nothing/ada'), { status: 404, text: /UNKNOWN_TABLE/ })
      t.match(await get('/views/words/nobody'), { status: 404, text: /KEY_NOT_FOUND/ })
      t.match(await get('/functions/nothing'), { status: 404, text: /UNKNOWN_FUNCTION/ })
      t.match(await get('/nowhere'), { status: 404, text: /UNKNOWN_ROUTE/ })
      t.match(await post(host, `/emitters/words/${'k'.repeat(4097)}`, '"x"'), {
        status: 400,
        body: { error: { code: 'KEY_TOO_LONG' } },
      })
      t.equal((await fetch(`${host.host.url}/views/words/ada`, { method: 'PUT' })).status, 405)
      t.match(await get('/views/words/ada?after=rubbish'), { status: 400, text: /BAD_TOKEN/ })
    },
  )

  await t.test('text, integers and bytes keep every bit', async (t) => {
    let after = await emit(host, '/emitters/words/%C3%A9t%C3%A9%2F1', '"naïve "')
    after = await emit(host, '/emitters/words/%C3%A9t%C3%A9%2F1', 'plain ✓', {
      'content-type': 'text/plain',
    })
    t.match(await get(`/views/words/%C3%A9t%C3%A9%2F1?${after}`), { text: '"naïve plain ✓"' })
    after = await emit(host, '/emitters/payments/ada', '9007199254740993')
    t.match(await get(`/views/balance/ada?${after}`), { text: '9007199254740993' })
    t.match(await post(host, '/emitters/payments/ada', '1.5'), { status: 400 })
    const blob = Buffer.from([0, 255, 10, 13, 128])
    after = await emit(host, '/emitters/blobs/ada', blob, {
      'content-type': 'application/octet-stream',
    })
    const response = await fetch(`${host.host.url}/views/blobs/ada?${after}`)
    t.equal(response.headers.get('content-type'), 'application/octet-stream')
    t.same(Buffer.from(await response.arrayBuffer()), blob)
  })

  await t.test('a tombstone reaches the function', async (t) => {
    await emit(host, '/emitters/profiles/gone', '{"name":"G","tags":[]}')
    const response = await fetch(`${host.host.url}/emitters/profiles/gone`, { method: 'DELETE' })
    t.equal(response.status, 201)
    const { token } = (await response.json()) as { token: string }
    t.match(await get(`/views/profile/gone?after=${token}`), { status: 404 })
  })

  await t.test('NDJSON is all or nothing, and names the bad line', async (t) => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `{"key":"k${i % 1000}","value":1}`)
    t.match(
      await post(host, '/emitters/payments', [...lines, '{"key":"x","value":"ten"}'].join('\n')),
      {
        status: 400,
        body: { error: { code: 'BAD_LINE', message: /40,?001/ } },
      },
    )
    const answer = await post(host, '/emitters/payments', lines.join('\n'), {
      'content-type': 'application/x-ndjson',
    })
    t.match(answer, { status: 201, body: { count: 40_000 } })
    const after = `after=${answer.body.token}`
    t.match(
      await get(`/views/balance/k999?${after}`),
      { text: '40' },
      'and nothing of the refused batch',
    )
    const page = JSON.parse((await get(`/views/balance?prefix=k99&${after}`)).text)
    t.same(
      page.entries.map(({ key }: { key: string }) => key),
      ['k99', ...Array.from({ length: 10 }, (_, i) => `k99${i}`)],
    )
  })

  await t.test('a table is read by page, to its end, in key order', async (t) => {
    const keys: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`
      const page = JSON.parse((await get(`/views/balance?from=k1&to=k5&limit=77${more}`)).text)
      keys.push(...page.entries.map(({ key }: { key: string }) => key))
      cursor = page.cursor
    }
    const expected = Array.from({ length: 1000 }, (_, i) => `k${i}`)
      .filter((key) => key >= 'k1' && key < 'k5')
      .sort()
    t.same(keys, expected)
    const lines = (await get('/views/balance?prefix=k', { accept: 'application/x-ndjson' })).text
      .trim()
      .split('\n')
    t.equal(lines.length, 1000)
    t.same(JSON.parse(lines[0] ?? ''), { key: 'k0', value: 40 })
    t.match(await post(host, '/views/balance', '{"keys":["k1","nobody"]}'), {
      status: 200,
      body: { k1: 40, nobody: null },
    })
    const head = await fetch(`${host.host.url}/views/balance/k1`, { method: 'HEAD' })
    t.equal(head.status, 200)
    t.equal((await fetch(`${host.host.url}/views/balance/nobody`, { method: 'HEAD' })).status, 404)
  })

  await t.test('a token of a stream that does not lead to the table is refused', async (t) => {
    const after = await emit(host, '/emitters/words/ada', '"x"')
    t.match(await get(`/views/balance/ada?${after}`), { status: 400, text: /STREAM_NOT_UPSTREAM/ })
  })

  await t.test('topology, functions and health tell what there is', async (t) => {
    const topology = JSON.parse((await get('/topology')).text)
    t.ok(
      topology.edges.some(
        ({ from, to }: { from: string; to: string }) =>
          from === 'function:profile' && to === 'stream:greetings',
      ),
    )
    const { functions: list } = JSON.parse((await get('/functions')).text)
    t.same(
      list.map(({ name, state }: { name: string; state: string }) => [name, state]),
      [
        ['balance', 'running'],
        ['blobs', 'running'],
        ['greeted', 'running'],
        ['profile', 'running'],
        ['words', 'running'],
      ],
    )
    t.match(await get('/healthz'), { status: 200 })
    t.match(await get('/readyz'), { status: 200 })
  })

  await t.test('a body over the limit is refused before it is read', async (t) => {
    const answer = await post(host, '/emitters/words/ada', `"${'x'.repeat(9 * 1024 * 1024)}"`)
    t.match(answer, { status: 413, body: { error: { code: 'BODY_TOO_LARGE' } } })
  })
})

t.test(
  'a view that waits in vain answers 504 with what is behind; a stop ends the wait',
  async (t) => {
    const stuck = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { events: json() }, table: json(),
  on: { events: () => new Promise(() => {}) },
})`
    const host = await testHost(t, {
      functions: { 'stuck.ts': stuck },
      watch: false,
      env: { MILLRACE_LIMITS_DRAIN_MS: '200' },
    })
    const token = await host.emit('events', 'ada', 1)
    t.match(await host.get(`/views/stuck/ada?after=${token}&timeoutMs=50`), {
      status: 504,
      body: { error: { code: 'WAIT_TIMEOUT', message: /stuck/ } },
    })
    const waiting = host.get(`/views/stuck/ada?after=${token}`).catch(() => ({ status: 503 }))
    await host.stop()
    t.match(await waiting, { status: 503 }, 'the wait ends with the host')
    await host.start()
    t.match((await host.status('stuck'))?.lag, 1, 'the record is still to be handled')
  },
)

t.test('a read with a token waits for the table to be recovered, too', async (t) => {
  const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { events: json() }, table: json<number>(),
  on: { events: (ctx) => ctx.set((ctx.get() ?? 0) + 1) },
})`
  const host = await testHost(t, { functions: { 'counter.ts': counter }, watch: false })
  const token = await host.emit('events', 'ada', 1)
  await host.view('counter', 'ada', token)
  for (let i = 0; i < 5; i += 1) {
    await host.stop()
    await host.start()
    t.equal(await host.view('counter', 'ada', token), 1, 'asked at once, and not answered 503')
  }
})
