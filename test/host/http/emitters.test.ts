// Emitters: what a body becomes in the log, and what is refused before anything is written.
import t from 'tap'
import { HostError } from '#host/errors.js'
import { decodeToken } from '#host/http/token.js'
import { createFixture, partitions, said } from './fixture.js'

const schemaFile = `
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'
const date = {
  encode: (value: { at: string }) => new TextEncoder().encode('at ' + new Date(value.at).toISOString()),
  decode: (bytes: Uint8Array) => {
    const text = new TextDecoder().decode(bytes)
    if (!text.startsWith('at ')) throw new Error('no date')
    return new Date(text.slice(3))
  },
}
export default defineProcessor({
  inputs: { orders: json(z.object({ items: z.array(z.object({ count: z.number().int() })) })), dates: date },
  on: { orders() {}, dates() {} },
})`

const ndjson = (...lines: readonly unknown[]) => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-ndjson' },
  body: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
})
const post = (body: string | Uint8Array, type?: string) => ({
  method: 'POST',
  body,
  headers: type === undefined ? {} : { 'content-type': type },
})

t.test('a JSON value is stored as it was sent, without a byte order mark', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('clicks')
  const answer = await said(
    app.request('/emitters/clicks/ada', post('\uFEFF{ "n": 12345678901234567890 }')),
  )
  t.match(answer, {
    status: 201,
    body: { stream: 'clicks', partition: Number, offset: Number, token: String },
  })
  t.same(records('clicks'), [{ key: 'ada', value: '{ "n": 12345678901234567890 }', headers: [] }])
  const { partition, offset, token } = answer.body as {
    partition: number
    offset: number
    token: string
  }
  t.match(decodeToken(token), { stream: 'clicks', offsets: new Map([[partition, offset]]) })
})

t.test('what is no JSON is refused with its place, and nothing is written', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('clicks')
  t.match(await said(app.request('/emitters/clicks/ada', post('{"a":\n  }'))), {
    status: 400,
    body: { error: { code: 'BAD_JSON', message: /line 2, column 3/ } },
  })
  t.match(await said(app.request('/emitters/clicks/ada', post(Buffer.from([0x22, 0xff, 0x22])))), {
    status: 400,
    body: { error: { code: 'BAD_JSON', message: /UTF-8/ } },
  })
  t.match(await said(app.request('/emitters/clicks/ada', post(''))), {
    body: { error: { code: 'BAD_JSON' } },
  })
  t.same(records('clicks'), [])
})

t.test('each built-in codec takes its own and refuses the rest', async (t) => {
  const { app, stream, records } = createFixture(t)
  const cases: [
    codec: 'string' | 'int64' | 'bytes',
    body: string | Uint8Array,
    type: string | undefined,
    stored: string | RegExp,
  ][] = [
    ['string', 'hello', 'text/plain', 'hello'],
    ['string', '"hel\\nlo"', 'application/json', 'hel\nlo'],
    ['string', '5', 'application/json', /a string is wanted/],
    ['string', Buffer.from([0xc3]), 'text/plain', /not UTF-8/],
    ['int64', '9223372036854775807', undefined, '9223372036854775807'],
    ['int64', '"-9223372036854775808"', undefined, '-9223372036854775808'],
    ['int64', '9223372036854775808', undefined, /does not fit/],
    ['int64', '1.5', undefined, /a whole number is wanted/],
    ['int64', '"1e3"', undefined, /a whole number is wanted/],
    ['bytes', 'raw', 'application/octet-stream', 'raw'],
    ['bytes', '{raw', 'image/png', '{raw'],
    ['bytes', '"cmF3"', 'application/json', 'raw'],
    ['bytes', '"?"', 'application/vnd.x+json', /base64/],
  ]
  for (const [index, [codec, body, type, stored]] of cases.entries()) {
    const name = `s${index}`
    await stream(name, { codec })
    const answer = await said(app.request(`/emitters/${name}/k`, post(body, type)))
    if (typeof stored === 'string') {
      t.equal(answer.status, 201, `${codec} takes ${String(body)}`)
      t.equal(records(name)[0]?.value, stored)
    } else {
      t.match(answer, { status: 400, body: { error: { code: 'BAD_VALUE', message: stored } } })
      t.same(records(name), [])
    }
  }
})

t.test(
  'a schema names the path of each problem, a codec of the user makes the bytes',
  async (t) => {
    const { app, stream, records, file } = createFixture(t)
    await file('shop', schemaFile)
    const of = (name: string) => ({
      function: 'shop',
      edge: { kind: 'input', stream: name } as const,
    })
    await stream('orders', { ...of('orders'), codec: 'schema' })
    await stream('dates', { ...of('dates'), codec: 'custom' })
    t.match(
      await said(app.request('/emitters/orders/a', post('{"items":[{"count":1},{"count":1.5}]}'))),
      {
        status: 400,
        body: {
          error: { code: 'BAD_VALUE', details: [{ path: 'items[1].count', message: String }] },
        },
      },
    )
    t.equal((await app.request('/emitters/orders/a', post('{"items":[{"count":1}]}'))).status, 201)
    t.same(
      records('orders').map(({ value }) => value),
      ['{"items":[{"count":1}]}'],
    )

    t.equal((await app.request('/emitters/dates/a', post('{"at":"2026-01-02"}'))).status, 201)
    t.equal(
      (await app.request('/emitters/dates/a', post('at 2026-01-03', 'application/octet-stream')))
        .status,
      201,
    )
    t.equal(
      (await app.request('/emitters/dates/a', post('2026', 'application/octet-stream'))).status,
      400,
    )
    t.match(await said(app.request('/emitters/dates/a', post('{"at":"nonsense"}'))), {
      status: 400,
      body: { error: { code: 'BAD_VALUE', message: /Invalid time value/ } },
    })
    t.same(
      records('dates').map(({ value }) => value),
      ['at 2026-01-02T00:00:00.000Z', 'at 2026-01-03'],
    )
  },
)

t.test('one of several codecs is enough; when none takes it each says why', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('mixed', { function: 'one', codec: 'int64' }, { function: 'two', codec: 'string' })
  await app.request('/emitters/mixed/a', post('7', 'application/json'))
  await app.request('/emitters/mixed/a', post('"x"', 'application/json'))
  t.same(
    records('mixed').map(({ value }) => value),
    ['7', 'x'],
  )
  t.match(await said(app.request('/emitters/mixed/a', post('true', 'application/json'))), {
    status: 400,
    body: { error: { details: [{ function: 'one' }, { function: 'two' }] } },
  })
})

t.test('keys are percent-decoded UTF-8 within bounds', async (t) => {
  const { app, stream, records } = createFixture(t, { env: { MILLRACE_LIMITS_MAX_KEY_BYTES: '8' } })
  await stream('clicks')
  for (const key of ['a/b', 'ü%', ' "', '日本']) {
    t.equal(
      (await app.request(`/emitters/clicks/${encodeURIComponent(key)}`, post('1'))).status,
      201,
      key,
    )
  }
  t.same(
    records('clicks')
      .map(({ key }) => key)
      .sort(),
    ['a/b', 'ü%', ' "', '日本'].sort(),
  )
  for (const [path, code] of [
    ['%zz', 'BAD_KEY'],
    ['%ff', 'BAD_KEY'],
    ['a%', 'BAD_KEY'],
    ['', 'BAD_KEY'],
    ['a/b', 'BAD_KEY'],
    ['123456789', 'KEY_TOO_LONG'],
  ]) {
    t.match(await said(app.request(`/emitters/clicks/${path}`, post('1'))), {
      status: 400,
      body: { error: { code } },
    })
  }
})

t.test('headers and time of a record come from the request', async (t) => {
  const { app, stream, log, records } = createFixture(t)
  await stream('clicks')
  const send = (timestamp: string) =>
    app.request('/emitters/clicks/a', {
      ...post('1'),
      headers: { 'millrace-header-Trace': 'x1', 'millrace-timestamp': timestamp },
    })
  t.equal((await send('1700000000000')).status, 201)
  t.equal((await send('2026-01-31T12:00:00Z')).status, 201)
  t.match(await said(send('yesterday')), { status: 400, body: { error: { code: 'BAD_REQUEST' } } })
  t.same(
    records('clicks').map(({ headers }) => headers),
    [['trace=x1'], ['trace=x1']],
  )
  const times = Array.from({ length: partitions }, (_, p) => log.records('clicks', p))
    .flat()
    .map(({ timestamp }) => timestamp)
  t.same(times, [1_700_000_000_000, Date.parse('2026-01-31T12:00:00Z')])
})

t.test(
  'headers that are too many or too long are refused before anything is written',
  async (t) => {
    const { app, stream, records } = createFixture(t)
    await stream('clicks')
    const many = (count: number, prefix = '') =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}h${n}`, 'x']))
    const long = (length: number, prefix = '') => ({ [prefix + 'n'.repeat(length)]: 'x' })
    const good = { key: 'a', value: 1 }
    for (const [made, message] of [
      [(prefix = '') => many(101, prefix), /101 headers.*100/],
      [(prefix = '') => long(1025, prefix), /name of 1025 bytes.*1024/],
    ] as const) {
      const headers = made('millrace-header-')
      for (const request of [
        { ...post('1'), headers },
        { method: 'DELETE', headers },
      ]) {
        t.match(await said(app.request('/emitters/clicks/a', request)), {
          status: 400,
          body: { error: { code: 'BAD_REQUEST', message } },
        })
      }
      t.match(
        await said(app.request('/emitters/clicks', ndjson(good, { ...good, headers: made() }))),
        {
          status: 400,
          body: { error: { code: 'BAD_LINE', message, details: { line: 2 } } },
        },
      )
    }
    // As many bytes, though fewer characters.
    const line = { ...good, headers: { ['ü'.repeat(513)]: 'x' } }
    t.match(await said(app.request('/emitters/clicks', ndjson(line))), {
      body: { error: { code: 'BAD_LINE', message: /name of 1026 bytes/ } },
    })
    t.same(records('clicks'), [])
    for (const headers of [many(100), long(1024)]) {
      t.equal((await app.request('/emitters/clicks', ndjson({ ...good, headers }))).status, 201)
    }
  },
)

t.test('a record that the log would not take is refused, by its line among others', async (t) => {
  const { app, stream, records } = createFixture(t, {
    env: { MILLRACE_LOG_MAX_RECORD_BYTES: '1000' },
  })
  await stream('clicks')
  const large = 'x'.repeat(1000)
  const tooLarge = { code: 'RECORD_TOO_LARGE', message: /log\.maxRecordBytes/ }
  t.match(await said(app.request('/emitters/clicks/a', post(`"${large}"`))), {
    status: 413,
    body: { error: tooLarge },
  })
  const headers = { 'millrace-header-h': large }
  t.match(await said(app.request('/emitters/clicks/a', { method: 'DELETE', headers })), {
    status: 413,
    body: { error: tooLarge },
  })
  const good = { key: 'a', value: 1 }
  for (const bad of [
    { ...good, value: large },
    { ...good, value: null, headers: { h: large } },
  ]) {
    t.match(await said(app.request('/emitters/clicks', ndjson(good, '', bad, good))), {
      status: 413,
      body: { error: { ...tooLarge, message: /line 3: .*maxRecordBytes/, details: { line: 3 } } },
    })
  }
  t.same(records('clicks'), [])
})

t.test('DELETE writes a tombstone', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('clicks')
  t.match(await said(app.request('/emitters/clicks/ada', { method: 'DELETE' })), {
    status: 201,
    body: { token: String },
  })
  t.same(records('clicks'), [{ key: 'ada', value: null, headers: [] }])
})

t.test('an unknown stream and a stopping host take nothing', async (t) => {
  const { app, stream, stopping } = createFixture(t)
  await stream('clicks')
  t.match(await said(app.request('/emitters/nope/a', post('1'))), {
    status: 404,
    body: { error: { code: 'UNKNOWN_STREAM' } },
  })
  stopping.abort()
  const answer = await said(app.request('/emitters/clicks/a', post('1')))
  t.match(answer, { status: 503, body: { error: { code: 'STOPPING' } } })
  t.equal(answer.headers.get('retry-after'), '1')
})

t.test('what is not known is not missing while functions are being loaded', async (t) => {
  const { app, catalog } = createFixture(t)
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'], state: 'loading' }]
  for (const request of [
    app.request('/emitters/clicks/a', post('1')),
    app.request('/views/nope/a'),
    app.request('/views/nope'),
  ]) {
    const answer = await said(request)
    t.match(answer, { status: 503, body: { error: { code: 'RECOVERING', message: /being loaded/ } } }) // biome-ignore format: one idea
    t.equal(answer.headers.get('retry-after'), '1')
  }
})

t.test('an emit that fails before it is sent says that nothing was written', async (t) => {
  const { app, stream, log, records } = createFixture(t)
  await stream('clicks')
  log.topicId = async () => {
    throw new HostError('BROKER_UNAVAILABLE', 'away')
  }
  t.match(await said(app.request('/emitters/clicks/a', post('1'))), {
    status: 503,
    body: { error: { code: 'BROKER_UNAVAILABLE', message: 'nothing was written: away' } },
  })
  t.same(records('clicks'), [])
})

t.test('lines are written all at once, with their own keys, headers and times', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('clicks')
  const answer = await said(
    app.request(
      '/emitters/clicks',
      ndjson(
        { key: 'a', value: { n: 1 }, headers: { h: 'ü' }, timestamp: 5 },
        '',
        { key: 'b', value: null },
        ' {"key":"a","value":2} \r',
        '',
      ),
    ),
  )
  t.match(answer, { status: 201, body: { count: 3, token: String } })
  t.same(
    records('clicks').sort((x, y) => String(x.value).localeCompare(String(y.value))),
    [
      { key: 'a', value: '{"n":1}', headers: ['h=ü'] },
      { key: 'a', value: '2', headers: [] },
      { key: 'b', value: null, headers: [] },
    ].sort((x, y) => String(x.value).localeCompare(String(y.value))),
  )
  const { offsets } = decodeToken((answer.body as { token: string }).token)
  t.ok(offsets.size >= 1)
})

t.test('the first bad line is named and nothing is written', async (t) => {
  const { app, stream, records, file } = createFixture(t)
  await stream('clicks')
  const good = { key: 'a', value: 1 }
  const cases: [line: unknown, message: RegExp][] = [
    ['{"key":"a","value":}', /line 3: not JSON: column 20/],
    ['[]', /an object .* is wanted/],
    [{ key: 'a' }, /"value" is missing/],
    [{ value: 1 }, /"key" has to be a string/],
    [{ key: '', value: 1 }, /empty/],
    ['{"key":"\\ud800","value":1}', /"key" has to be a string/],
    [{ key: 'a', value: 1, valu: 2 }, /unknown field "valu"/],
    [{ key: 'a', value: 1, timestamp: -1 }, /"timestamp" is -1/],
    [{ key: 'a', value: 1, headers: { a: 1 } }, /header "a" has to be a string/],
  ]
  for (const [line, message] of cases) {
    t.match(await said(app.request('/emitters/clicks', ndjson(good, '', line, 'also bad'))), {
      status: 400,
      body: { error: { code: 'BAD_LINE', message, details: { line: 3 } } },
    })
  }
  t.same(records('clicks'), [])

  await file('shop', schemaFile)
  await stream('orders', {
    function: 'shop',
    edge: { kind: 'input', stream: 'orders' },
    codec: 'schema',
  })
  const bad = { key: 'a', value: { items: 1 } }
  t.match(
    await said(
      app.request('/emitters/orders', ndjson({ key: 'a', value: { items: [] } }, bad, 'no JSON')),
    ),
    {
      status: 400,
      body: { error: { code: 'BAD_LINE', message: /line 2: .*items/, details: { line: 2 } } },
    },
  )
  t.same(records('orders'), [])
})

t.test('a bad line far behind is found, with its number readable', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('clicks')
  const lines = Array.from({ length: 40_000 }, (_, n) => ({ key: `k${n}`, value: n }))
  t.match(await said(app.request('/emitters/clicks', ndjson(...lines, '{'))), {
    body: { error: { message: /line 40,001:/, details: { line: 40_001 } } },
  })
  t.same(records('clicks'), [])
  t.match(await said(app.request('/emitters/clicks', ndjson(...lines))), {
    status: 201,
    body: { count: 40_000 },
  })
  t.equal(records('clicks').length, 40_000)
})

t.test('numbers that JavaScript cannot hold keep their digits in lines, too', async (t) => {
  const { app, stream, records } = createFixture(t)
  await stream('sums', { codec: 'int64' })
  await app.request(
    '/emitters/sums',
    ndjson('{"key":"a","value":1}', '{"key":"a","value": 9007199254740993 }'),
  )
  t.same(
    records('sums').map(({ value }) => value),
    ['1', '9007199254740993'],
  )
})

t.test('no lines, too many lines and too large a body are refused', async (t) => {
  const { app, stream, records } = createFixture(t, {
    env: { MILLRACE_LIMITS_MAX_LINES: '2', MILLRACE_LIMITS_MAX_BODY_BYTES: '100' },
  })
  await stream('clicks')
  const good = { key: 'a', value: 1 }
  t.match(await said(app.request('/emitters/clicks', ndjson('', ' '))), {
    status: 400,
    body: { error: { code: 'BAD_REQUEST' } },
  })
  t.match(await said(app.request('/emitters/clicks', ndjson(good, good, good))), {
    status: 413,
    body: { error: { code: 'BODY_TOO_LARGE', message: /2 lines/ } },
  })
  t.match(await said(app.request('/emitters/clicks/a', post(`"${'x'.repeat(99)}"`))), {
    status: 413,
  })
  t.match(
    await said(
      app.request('/emitters/clicks/a', { ...post('1'), headers: { 'content-encoding': 'gzip' } }),
    ),
    { status: 400 },
  )
  t.same(records('clicks'), [])
})
