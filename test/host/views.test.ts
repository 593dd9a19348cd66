// Views of tables that others write, on a real host: read over HTTP, followed, swapped, evicted from, watched, and reset.
import t from 'tap'
import { Command } from '../support/command.js'
import { testFolder } from '../support/folder.js'
import { HostUnderTest } from '../support/host.js'
import { until } from '../support/until.js'

/** `late`: the topic of its output. */
const counts = (late: string) => `
import { defineProcessor, json, topic } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<number>(),
  outputs: { late: topic('${late}', json<number>()) },
  on: {
    clicks(ctx, page) {
      if (page === 'end') ctx.delete()
      else ctx.set((ctx.get() ?? 0) + 1)
      ctx.emit('late', ctx.key, page.length)
    },
  },
})`

const view = (table: string, more = '') => `
import { defineView, json } from 'millrace'
export default defineView({ table: '${table}', codec: json<number>(), ${more} })`

const changes = (by: number) =>
  view(
    'counts-table',
    `stored: json<{ last: number | null; changes: number }>(),
    update(ctx, count) {
      if (count === 13) throw new RangeError('no luck')
      ctx.set({ last: count, changes: (ctx.get()?.changes ?? 0) + ${by} })
    },`,
  )

const host = new HostUnderTest(testFolder(t), {
  functions: {
    'counts.ts': counts('early'),
    'shown.ts': view('counts-table'),
    'changes.ts': changes(1),
    'later.ts': view(
      'late.topic',
      `update(ctx, length) {
        ctx.log.warn('sees it', { error: new RangeError('odd') })
        if (length !== null) ctx.set(length)
      }`,
    ),
  },
})
t.teardown(() => host.stop())

const url = (path: string) => `${host.host.url}${path}`
/** Each is a change of its own: a flush has but the last of a key. */
const clicks = async (key: string, times: number) => {
  let token = ''
  for (let n = 0; n < times; n += 1) {
    token = await host.emit('clicks', key, 'home')
    await host.view('counts', key, token)
  }
  return token
}

/** States as they are told, until it is ended. */
async function watched(name: string) {
  const end = new AbortController()
  const headers = { accept: 'text/event-stream' }
  const response = await fetch(url(`/functions/${name}`), { headers, signal: end.signal })
  const told: { state: string; error: unknown }[] = []
  const read = async () => {
    let rest = ''
    for await (const chunk of response.body ?? []) {
      const lines = (rest + Buffer.from(chunk).toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('data: ')) told.push(JSON.parse(line.slice('data: '.length)))
      }
    }
  }
  const over = read().catch(() => {})
  return {
    type: response.headers.get('content-type') ?? '',
    told,
    async end() {
      end.abort()
      await over
    },
  }
}

t.test('a view has what others write, and waits for a topic that is not there', async (t) => {
  await host.start()
  // Both loaded at once: whichever comes first.
  await host.untilStatus('shown', 'running')
  await host.untilStatus('changes', 'running')
  await clicks('ann', 2)
  const token = await clicks('bob', 1)
  t.equal(await host.view('shown', 'bob', token), 1, 'a token leads through the table to the view')
  t.same(await host.view('changes', 'ann'), { last: 2, changes: 2 })
  t.same((await host.get('/views/shown?prefix=a')).body, {
    entries: [{ key: 'ann', value: 2 }],
    cursor: null,
  })
  const has = await fetch(url('/views/shown/ann'), { method: 'HEAD' })
  t.same([has.status, has.headers.get('millrace-stale')], [200, null])
  t.equal((await host.get('/views/shown/carl')).status, 404)
  const ended = await host.emit('clicks', 'bob', 'end')
  t.equal((await host.get(`/views/shown/bob?after=${ended}`)).status, 404)

  const status = await host.status('shown')
  t.match(status, { kind: 'view', state: 'running', lag: 0, waitingFor: [] })
  t.match(status?.partitions[0]?.inputs, [{ stream: 'counts-table', lag: 0 }])
  const { functions, edges } = await host.get('/topology').then(({ body }) => body as never)
  t.match(
    (functions as { name: string }[]).find(({ name }) => name === 'shown'),
    { kind: 'view', group: null, inputs: ['counts-table'], table: 'shown' },
  )
  t.ok((edges as { from: string; to: string }[]).some(({ to }) => to === 'table:shown'))

  const waiting = await host.status('later')
  t.match(waiting, { state: 'loading', kind: null, error: { code: 'RECOVERING' } })
  t.match(waiting?.error?.message, /the topic late\.topic does not exist yet, whoever writes/)
  t.match(await host.get('/views/later/ann'), { status: 503 })
  t.match(await host.get('/readyz'), { status: 503 })
  host.save('counts.ts', counts('late.topic'))
  await host.untilStatus('later', 'running')
  const emitted = await clicks('ann', 1)
  t.equal(await host.view('later', 'ann', emitted), 4)
  const logged = host.lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'sees it')
  t.match(logged, {
    error: { type: 'RangeError', message: 'odd', stack: /later\.ts:4/ },
    key: 'ann',
  })
  t.ok(
    host.lines.some((line) =>
      /late\.topic is read as the table later, and is not compacted/.test(line),
    ),
  )
})

t.test('it can be watched: state by state', async (t) => {
  const watch = await watched('changes')
  t.match(watch.type, /^text\/event-stream/)
  await until('the first is told', () => watch.told.length > 0)
  t.match(watch.told[0], { name: 'changes', kind: 'view', state: 'running', error: null })
  await clicks('ann', 10)
  await until('it halts', () => watch.told.at(-1)?.state === 'halted')
  t.match(watch.told.at(-1)?.error, {
    message: 'no luck',
    file: /changes\.ts$/,
    line: 5,
    key: 'ann',
  })
  await host.untilStatus('shown', 'running')
  await until('others go on', async () => (await host.view('shown', 'ann')) === 13)
  t.same(await host.view('changes', 'ann'), { last: 12, changes: 12 })
  host.save('changes.ts', changes(1).replace('13', '-1'))
  await until('it runs again', () => watch.told.at(-1)?.state === 'running')
  await until('it has gone on there', async () => {
    const now = await host.view('changes', 'ann')
    return JSON.stringify(now) === '{"last":13,"changes":13}'
  })
  await watch.end()
  t.equal(
    (await fetch(url('/functions/none'), { headers: { accept: 'text/event-stream' } })).status,
    404,
  )
})

t.test('a key that is evicted comes back with its next record', async (t) => {
  const evict = (path: string) => fetch(url(path), { method: 'DELETE' })
  t.equal((await evict('/views/shown/ann')).status, 204)
  t.equal((await host.get('/views/shown/ann')).status, 404)
  t.equal((await evict('/views/none/ann')).status, 404)
  const refused = await evict('/views/counts/ann')
  t.equal(refused.status, 400)
  t.match(await refused.json(), { error: { message: /its function's own.*defineView/ } })
  const token = await clicks('ann', 1)
  t.equal(await host.view('shown', 'ann', token), 14)
})

t.test('saves take its place, and what it has stays until it is another revision', async (t) => {
  const version = (await host.status('changes'))?.version
  host.save('changes.ts', changes(100).replace('13', '-1'))
  await until('it is swapped', async () => (await host.status('changes'))?.version !== version)
  const token = await clicks('ann', 1)
  t.same(await host.view('changes', 'ann', token), { last: 15, changes: 114 })
  host.save(
    'changes.ts',
    view('counts-table', "stored: json<string>(), update(ctx) { ctx.set('x') }, revision: 2"),
  )
  await until(
    'it is made anew',
    async () => (await host.view('changes', 'ann').catch(() => 0)) === 'x',
  )
  host.save('changes.ts', view('counts-table', 'stored: 7'))
  await until(
    'it is refused',
    async () => (await host.status('changes'))?.error?.code === 'BAD_DEFINITION',
  )
  t.match(
    (await host.status('changes'))?.error?.message,
    /stored: without update.*; stored: a codec is needed/,
  )
  t.equal(await host.view('changes', 'ann'), 'x', 'and the version before goes on')
})

t.test('what it has is there after a stop, and follows what came meanwhile', async (t) => {
  await host.stop()
  host.remove('shown.ts')
  await host.start()
  await host.untilStatus('counts', 'running')
  await clicks('ann', 1)
  await host.stop()
  host.save('shown.ts', view('counts-table'))
  await host.start()
  await host.untilStatus('shown', 'running')
  t.equal(await host.view('shown', 'ann'), 16)
})

t.test('a reset makes its copy anew, and leaves the table to those who write it', async (t) => {
  await host.stop()
  const reset = new Command(t, ['reset', 'shown', '--yes', '--root', host.root])
  t.match(await reset.ended, { code: 0 })
  t.match(reset.out, /^shown is reset: the local table deleted/)
  await host.start()
  await host.untilStatus('shown', 'running')
  await host.untilStatus('counts', 'running')
  t.equal(await host.view('shown', 'ann'), 16)
  t.equal(await host.view('counts', 'ann'), 16)
})

t.test('a view that is taken away is served no more, and others are', async (t) => {
  host.remove('shown.ts')
  await until('it is gone', async () => (await host.get('/views/shown/ann')).status === 404)
  // Since the host was started nobody has looked at it.
  await host.untilStatus('later', 'running')
  t.equal(await host.view('later', 'ann'), 4)
})
