// The host from outside: files saved into a folder, events posted, tables read.
import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testHost } from '../support/host.js'
import { until } from '../support/until.js'

const count = (step = 1, extra = '') => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),
  on: {
    clicks(ctx, click) {
      ${extra}
      ctx.set({ count: (ctx.get()?.count ?? 0) + ${step} })
    },
  },
})`

t.test('an emitted event is reflected by the view that waits for it', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 1,
  })
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 2,
  })
  t.equal(await host.view('click-count', 'bob'), undefined)
})

t.test('a saved file takes over at a record boundary and keeps the table', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' }))
  const { version } = await host.untilStatus('click-count', 'running')
  host.save('click-count.ts', count(10))
  await host.untilStatus('click-count', (status) => status.version !== version)
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 11,
  })
  t.match(await host.status('click-count'), { state: 'running', swaps: 1, error: null })
})

t.test('many swaps under load lose nothing and do nothing twice', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`)
  let token = ''
  let posted = 0
  for (let round = 0; round < 12; round += 1) {
    const swaps = (await host.status('click-count'))?.swaps ?? 0
    host.save('click-count.ts', count(1, `// round ${round}\n const round = ${round}; void round`))
    do {
      token = await host.emitAll(
        'clicks',
        keys.map((key) => ({ key, value: { page: '/' } })),
      )
      posted += 1
    } while (((await host.status('click-count'))?.swaps ?? 0) === swaps)
  }
  await host.get(`/views/click-count?after=${token}`)
  for (const key of keys) t.same(await host.view('click-count', key), { count: posted })
  t.match(await host.status('click-count'), { records: posted * keys.length, error: null })
})

t.test('a broken save keeps the old version and shows its line in a frame', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  host.save('click-count.ts', `${count()}\nconst broken = = 1\n`)
  const { error } = await host.untilStatus('click-count', (status) => status.error !== null)
  t.match(error, {
    code: 'BUILD_FAILED',
    line: 13,
    file: /functions\/click-count\.ts$/,
    frame: /> 13 \| const broken = = 1/,
  })
  t.match(host.lines.join(''), /the save was refused, version [0-9a-f]+ goes on/)
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 1,
  })

  host.save('click-count.ts', `throw new Error('not today')\n${count()}`)
  t.match(await host.untilStatus('click-count', (status) => status.error?.code === 'LOAD_FAILED'), {
    error: { message: /not today/, line: 1, frame: />\s+1 \| throw new Error/ },
  })
  host.save('click-count.ts', count().replace('clicks(ctx, click)', 'klicks(ctx, click)'))
  t.match(
    await host.untilStatus('click-count', (status) => status.error?.code === 'BAD_DEFINITION'),
    {
      error: { message: /klicks/ },
    },
  )
  host.save('click-count.ts', count(5))
  await host.untilStatus('click-count', (status) => status.error === null)
  t.match(host.lines.join(''), /"msg":"mended"/)
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 6,
  })
})

t.test(
  'a function that throws halts at its record, others go on, a mended version goes on there',
  async (t) => {
    const host = await testHost(t, {
      functions: {
        'fragile.ts': count(
          1,
          `if (click.page === '/bad') throw new Error('no such page')`,
        ).replace('on: {', 'retry: { attempts: 2, backoffMs: 1 }, on: {'),
        'sturdy.ts': count(),
      },
    })
    await host.emit('clicks', 'ada', { page: '/' })
    await host.emit('clicks', 'ada', { page: '/bad' })
    const token = await host.emit('clicks', 'ada', { page: '/' })
    const halted = await host.untilStatus('fragile', 'halted')
    t.match(halted.error, {
      code: 'HANDLER_FAILED',
      message: 'no such page',
      name: 'Error',
      key: 'ada',
      stream: 'clicks',
      offset: 1,
      line: 8,
      frame: /> +8 \| +if \(click\.page === '\/bad'\) throw/,
      stack: /at .*fragile\.ts:8:\d+\)?$/,
    })
    const attempts = host.lines.filter((line) => line.includes('attempt 1 of 2 has failed'))
    t.equal(attempts.length, 1, 'the first failed attempt is one line, with its place')
    t.match(attempts[0], /"level":"warn".*"key":"ada".*Error: no such page at .*fragile\.ts:8:\d+"/)
    t.same(
      await host.view('fragile', 'ada'),
      { count: 1 },
      'what came before is flushed and served',
    )
    t.same(await host.view('sturdy', 'ada', token), { count: 3 })
    t.match(await host.get('/readyz'), { status: 503 })

    host.save('fragile.ts', count())
    t.same(await host.view('fragile', 'ada', token), { count: 3 }, 'the record counts once')
    t.match(await host.status('fragile'), { state: 'running', error: null })
  },
)

t.test('what a failed attempt had set or emitted leaves no trace', async (t) => {
  const host = await testHost(t, {
    functions: {
      'flaky.ts': `
import { defineProcessor, json } from 'millrace'
let attempts = 0
export default defineProcessor({
  inputs: { orders: json<number>() },
  outputs: { invoices: json<number>() },
  table: json<{ sum: number; list: number[] }>(),
  retry: { attempts: 5, backoffMs: 1 },
  on: {
    orders(ctx, amount) {
      const state = ctx.get() ?? { sum: 0, list: [] }
      state.sum += amount
      state.list.push(amount)
      ctx.set(state)
      ctx.emit('invoices', ctx.key, amount)
      attempts += 1
      if (attempts % 3 !== 0) throw new Error('flaky')
    },
  },
})`,
      'invoiced.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { invoices: json<number>() },
  table: json<number[]>(),
  on: { invoices: (ctx, amount) => ctx.set([...(ctx.get() ?? []), amount]) },
})`,
    },
  })
  let token = ''
  for (const amount of [1, 2, 3]) token = await host.emit('orders', 'ada', amount)
  t.same(await host.view('flaky', 'ada', token), { sum: 6, list: [1, 2, 3] })
  t.same(await host.view('invoiced', 'ada', token), [1, 2, 3], 'over two hops, each once')
})

t.test('onError skip goes on behind the record, ctx.fail is not retried', async (t) => {
  const host = await testHost(t, {
    functions: {
      'picky.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { words: json<string>() },
  table: json<string[]>(),
  onError: 'skip',
  on: {
    async words(ctx, word) {
      await new Promise((resolve) => setImmediate(resolve))
      ctx.set([...(ctx.get() ?? []), word])
      if (word === 'bad') ctx.fail('a bad word')
    },
  },
})`,
    },
  })
  let token = ''
  for (const word of ['a', 'bad', 'b']) token = await host.emit('words', 'ada', word)
  t.same(await host.view('picky', 'ada', token), ['a', 'b'])
  const skipped = host.lines.filter((line) => line.includes('record skipped'))
  t.equal(skipped.length, 1)
  t.match(JSON.parse(skipped[0] ?? ''), { attempts: 1, key: 'ada', function: 'picky' })
})

t.test('files come, go, and come back; two of one name run neither', async (t) => {
  const host = await testHost(t, { functions: {} })
  t.match(await host.get('/views/click-count/ada'), {
    status: 404,
    body: { error: { code: 'UNKNOWN_TABLE' } },
  })
  host.save('click-count.ts', count())
  await host.untilStatus('click-count', 'running')
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 1,
  })

  host.save(
    'click-count.js',
    count(7).replace('<{ page: string }>', '').replace('<{ count: number }>', ''),
  )
  t.match(await host.untilStatus('click-count', (status) => status.error !== null), {
    error: { code: 'DUPLICATE_FUNCTION' },
  })
  t.same(
    await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })),
    { count: 2 },
    'what ran goes on',
  )
  host.remove('click-count.ts')
  await host.untilStatus('click-count', (status) => status.error === null && status.swaps === 1)
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 9,
  })

  host.remove('click-count.js')
  await until('the function is gone', async () => (await host.status('click-count')) === undefined)
  t.match(await host.get('/views/click-count/ada'), { status: 404 })
  host.save('click-count.ts', count())
  await host.untilStatus('click-count', 'running')
  t.same(await host.view('click-count', 'ada'), { count: 9 }, 'its table was kept')
})

t.test('two files of one name at the start run neither, and both are named', async (t) => {
  const host = await testHost(t, { functions: { 'twin.ts': count(), 'twin.mts': count() } })
  t.match(await host.status('twin'), {
    state: 'halted',
    version: null,
    error: { code: 'DUPLICATE_FUNCTION', message: /twin\.mts and .*twin\.ts/ },
  })
  host.remove('twin.mts')
  await host.untilStatus('twin', 'running')
})

t.test('a stopped host goes on where it was', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  const token = await host.emit('clicks', 'ada', { page: '/' })
  await host.stop()
  await host.start()
  t.same(await host.view('click-count', 'ada', token), { count: 1 })
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 2,
  })
})

t.test('another set of inputs is joined without losing the table', async (t) => {
  const host = await testHost(t, { functions: { 'click-count.ts': count() } })
  await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' }))
  const both = count()
    .replace('inputs: {', 'inputs: { taps: json<string>(),')
    .replace('on: {', 'on: { taps(ctx) { ctx.set({ count: (ctx.get()?.count ?? 0) + 100 }) },')
  host.save('click-count.ts', both)
  await host.untilStatus(
    'click-count',
    (status) => status.state === 'running' && (status.partitions[0]?.inputs.length ?? 0) === 2,
  )
  await host.emit('clicks', 'ada', { page: '/' })
  await host.view('click-count', 'ada', await host.emit('taps', 'ada', 'tap'))
  t.same(await host.view('click-count', 'ada', await host.emit('clicks', 'ada', { page: '/' })), {
    count: 103,
  })
})

t.test('a loop hands messages to other keys of the same function', async (t) => {
  const host = await testHost(t, {
    functions: {
      'spread.ts': `
import { defineProcessor, int64, json } from 'millrace'
export default defineProcessor({
  inputs: { gifts: json<{ to: string[] }>() },
  table: int64,
  loop: int64,
  on: { gifts(ctx, gift) { for (const to of gift.to) ctx.loopback(to, 9007199254740993n) } },
  onLoop(ctx, amount) { ctx.set((ctx.get() ?? 0n) + amount) },
})`,
    },
  })
  await host.emit('gifts', 'ada', { to: ['bob', 'cleo'] })
  const text = await until('the loop has come round', async () => {
    const response = await fetch(`${host.host.url}/views/spread/cleo`)
    return response.status === 200 ? await response.text() : undefined
  })
  t.equal(text, '9007199254740993', 'exact, beyond what a double can hold')
})

t.test('a thread that ends is started anew, and nothing is lost', async (t) => {
  const host = await testHost(t, {
    functions: {
      'mortal.ts': count(
        1,
        `if (click.page === '/exit' && !globalThis.process.env.MORTAL_DIED) { globalThis.process.env.MORTAL_DIED = '1'; throw new Error('die') }`,
      ).replace(
        `throw new Error('die')`,
        `setImmediate(() => { throw new Error('in a timer') }); return new Promise(() => {})`,
      ),
    },
  })
  await host.emit('clicks', 'ada', { page: '/' })
  await host.emit('clicks', 'ada', { page: '/exit' })
  const token = await host.emit('clicks', 'ada', { page: '/' })
  t.match(await host.untilStatus('mortal', (status) => status.error?.code === 'WORKER_DIED'), {
    error: { message: /in a timer/ },
  })
  host.save('mortal.ts', count())
  t.same(await host.view('mortal', 'ada', token), { count: 3 })
})

t.test(
  'a save that only moves lines runs on, and errors point to where they are now',
  async (t) => {
    const fragile = count(1, `if (click.page === '/bad') ctx.fail('no such page')`)
    const host = await testHost(t, { functions: { 'fragile.ts': fragile } })
    const { version } = await host.untilStatus('fragile', 'running')
    host.save('fragile.ts', `// one\n// two\n${fragile}`)
    host.save('other.ts', count())
    await host.untilStatus('other', 'running')
    await host.emit('clicks', 'ada', { page: '/bad' })
    t.match(await host.untilStatus('fragile', 'halted'), { version, swaps: 0, error: { line: 10 } })
  },
)

t.test('log and tables take no larger buffers of memory than they are given', async (t) => {
  const buffer = 256 * 1024
  const host = await testHost(t, {
    functions: {
      'keeper.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { notes: json<string>() },
  table: json<string>(),
  on: { notes(ctx, note) { ctx.set(note) } },
})`,
    },
    env: {
      MILLRACE_LOG_WRITE_BUFFER_BYTES: `${buffer}`,
      MILLRACE_TABLES_WRITE_BUFFER_BYTES: `${buffer}`,
    },
  })
  let token = ''
  for (let batch = 0; batch < 20; batch += 1) {
    const value = randomBytes(48 * 1024).toString('hex')
    token = await host.emitAll('notes', [{ key: `key-${batch}`, value }])
    await host.view('keeper', `key-${batch}`, token)
  }
  // Closed: LevelDB deletes a journal whose buffer it has sorted into a file.
  await host.stop()
  // What a buffer holds lies in a journal, too, until it is full: 2 MB were written.
  const data = join(host.root, '.millrace')
  const journals = (readdirSync(data, { recursive: true }) as string[]).filter((name) =>
    /\d+\.log$/.test(name),
  )
  t.ok(journals.some((name) => name.startsWith('log')))
  t.ok(journals.some((name) => name.startsWith('tables')))
  for (const name of journals) {
    const { size } = statSync(join(data, name))
    t.ok(size < 3 * buffer, `${name} has ${size} bytes`)
  }
})
