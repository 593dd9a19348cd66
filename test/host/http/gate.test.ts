// The gate: user code that hangs, throws or ends its thread harms the one request that brought it.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { CodecRef } from '#host/functions/catalog.js'
import { createFixture, type Fixture, said } from './fixture.js'

const source = (decode: string) => `
import { defineProcessor } from 'millrace'
const own = {
  encode: (value: unknown) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes: Uint8Array) => {
    const text = new TextDecoder().decode(bytes)
    if (text === 'hang') while (true);
    if (text === 'exit') process.exit(3)
    if (text === 'throw') throw new Error('no')
    ${decode}
  },
}
export default defineProcessor({ inputs: { a: own }, on: { a() {} } })`

const ref: CodecRef = {
  function: 'own',
  version: 'v',
  edge: { kind: 'input', stream: 'a' },
  codec: 'custom',
}
const bytes = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text))

async function gateOf(
  t: Parameters<typeof createFixture>[0],
  env: Record<string, string> = {},
): Promise<Fixture> {
  const fixture = createFixture(t, { env: { MILLRACE_LIMITS_GATE_MS: '300', ...env } })
  await fixture.file('own', source('return text'))
  return fixture
}

t.test('values are judged one by one, in order, also very many', async (t) => {
  const { gate } = await gateOf(t)
  t.same(await gate.check(ref, bytes('a', 'throw', 'b')), [null, { message: 'no' }, null])
  t.same(await gate.decode(ref, bytes('a', 'throw')), ['"a"', { message: 'no' }])
  const [first, second] = await gate.encode(ref, ['{"x":1}', '[]'])
  t.same(
    [Buffer.from(first as Uint8Array).toString(), Buffer.from(second as Uint8Array).toString()],
    ['{"x":1}', '[]'],
  )
  const texts = Array.from({ length: 1234 }, (_, n) => `v${n}`)
  t.same(
    await gate.decode(ref, bytes(...texts)),
    texts.map((text) => `"${text}"`),
  )
  t.same(await gate.decode(ref, []), [])
})

t.test('who makes it hang is refused; the others are served by a new thread', async (t) => {
  const { gate } = await gateOf(t)
  const [before, guilty, ...others] = await Promise.allSettled([
    gate.decode(ref, bytes('a')),
    gate.decode(ref, bytes('hang')),
    gate.decode(ref, bytes('b')),
    gate.check(ref, bytes('c')),
  ])
  t.match(before, { value: ['"a"'] })
  t.match(guilty, { reason: { code: 'GATE_TIMEOUT', function: 'own', message: /300 ms/ } })
  t.match(others, [{ value: ['"b"'] }, { value: [null] }])
})

t.test('a function that has hung or died once holds up nobody else any more', async (t) => {
  const { gate, file } = await gateOf(t, { MILLRACE_LIMITS_GATE_MS: '60000' })
  const flag = join(t.testdirName, 'go')
  const waits = `import { existsSync } from 'node:fs'\n${source(`
    while (text === 'wait' && !existsSync(${JSON.stringify(flag)}));
    return text`)}`
  await file('own', waits)
  await file('other', source('return text'))
  await t.rejects(gate.decode(ref, bytes('exit')), { code: 'WORKER_DIED' })
  const waiting = gate.decode(ref, bytes('wait'))
  t.same(await gate.decode({ ...ref, function: 'other' }, bytes('b')), ['"b"'])
  await writeFile(flag, '')
  t.same(await waiting, ['"wait"'])
})

t.test(
  'a schema that loops is told to whoever brought the value, on every way in and out',
  async (t) => {
    const { app, stream, table, file, records } = await gateOf(t)
    await file('other', source('return text'))
    const codec = { codec: 'custom', edge: { kind: 'input', stream: 'a' } } as const
    await stream('a', { ...codec, function: 'own' })
    await stream('b', { ...codec, function: 'other' })
    await table('own', codec, { ada: 'hang', bob: 'b' })
    const raw = { 'content-type': 'application/octet-stream' }
    const post = (path: string, body: string, headers: Record<string, string> = {}) =>
      app.request(path, { method: 'POST', body, headers })
    const requests = [
      post('/emitters/a/k', 'hang', raw),
      post('/emitters/a', '{"key":"k","value":"fine"}\n{"key":"k","value":"fine"}'),
      app.request('/views/own/ada'),
      app.request('/views/own/bob'),
      app.request('/views/own'),
      post('/views/own', '{"keys":["bob","ada"]}'),
      post('/views/own', '{"keys":["bob"]}'),
      post('/emitters/b/k', 'fine', raw),
      app.request('/healthz'),
    ]
    const answers = await Promise.all(requests.map(said))
    const looped = { status: 400, body: { error: { code: 'GATE_TIMEOUT' } } }
    t.match(answers, [
      looped,
      { status: 201 },
      looped,
      { status: 200 },
      looped,
      looped,
      { status: 200 },
      { status: 201 },
      { status: 200 },
    ])
    t.equal(records('a').length, 2, 'what looped is not in the log')
  },
)

t.test('who ends its thread is refused; the others are served by a new one', async (t) => {
  const { gate } = await gateOf(t)
  const [guilty, other] = await Promise.allSettled([
    gate.decode(ref, bytes('exit')),
    gate.decode(ref, bytes('b')),
  ])
  t.match(guilty, { reason: { code: 'WORKER_DIED', message: /exit code 3/ } })
  t.match(other, { value: ['"b"'] })
})

t.test('the version that runs judges', async (t) => {
  const { gate, file } = await gateOf(t)
  t.same(await gate.decode(ref, bytes('a')), ['"a"'])
  await file('own', source('return text + text'))
  t.same(await gate.decode(ref, bytes('a')), ['"aa"'])
})

t.test('a file that hangs at load ends no thread twice', async (t) => {
  const { gate, file, lines } = await gateOf(t, { MILLRACE_LIMITS_LOAD_MS: '300' })
  await file('own', `while (true); ${source('return text')}`)
  await t.rejects(gate.decode(ref, bytes('a')), { code: 'LOAD_TIMEOUT' })
  await t.rejects(gate.decode(ref, bytes('a')), { code: 'LOAD_TIMEOUT' })
  t.equal(lines.filter((line) => line.includes('hangs')).length, 1)
  await file('own', source('return text'))
  t.same(await gate.decode(ref, bytes('a')), ['"a"'])
})

t.test('a file that throws at load, and an edge that is gone, say so', async (t) => {
  const { gate, file } = await gateOf(t)
  await t.rejects(gate.decode({ ...ref, edge: { kind: 'table' } }, bytes('a')), {
    code: 'BAD_VALUE',
    message: /no table any more/,
  })
  await t.rejects(gate.decode({ ...ref, function: 'gone' }, bytes('a')), {
    code: 'UNKNOWN_FUNCTION',
  })
  await file('own', `throw new Error('not today'); ${source('')}`)
  await t.rejects(gate.decode(ref, bytes('a')), { message: /not today/ })
})

t.test('too many at once are refused, and a closed gate takes none', async (t) => {
  const { gate } = await gateOf(t, { MILLRACE_LIMITS_MAX_WAITING: '2' })
  const results = await Promise.allSettled(
    ['a', 'b', 'c', 'd'].map((text) => gate.decode(ref, bytes(text))),
  )
  t.ok(
    results.some(
      (result) =>
        result.status === 'rejected' && (result.reason as { code: string }).code === 'OVERLOADED',
    ),
  )
  t.match(results[0], { value: ['"a"'] })
  const hanging = t.rejects(gate.decode(ref, bytes('hang')), { code: 'STOPPING' })
  await gate[Symbol.asyncDispose]()
  await hanging
  await t.rejects(gate.decode(ref, bytes('a')), { code: 'STOPPING' })
})
