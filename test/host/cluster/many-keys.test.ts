// Batches and lists over two instances: as if one had everything, and broken off rather than old.
import t, { type Test } from 'tap'
import { PageReader, packPage } from '#host/cluster/entries.js'
import type { Entry } from '#host/tables/store.js'
import {
  got,
  type InstanceOptions,
  keyIn,
  startInstance,
  startPair,
  tell,
} from './two-instances.js'

/** More than a page of each partition. */
const keys = Array.from({ length: 5000 }, (_, n) => `key-${n}`).sort()
/** No number that JavaScript has, with a blank: as it is stored. */
const stored = (key: string, isOwn: boolean) => (isOwn ? `[ 9007199254740993, "${key}" ]` : '"old"')

const pair = async (t: Test, options: InstanceOptions = {}) =>
  await startPair(t, keys, stored, options)

const post = (asked: readonly string[]) => ({
  method: 'POST',
  body: JSON.stringify({ keys: asked }),
})
const lines = { headers: { accept: 'application/x-ndjson' } }
const lineOf = (key: string) => `{"key":"${key}","value":${stored(key, true)}}\n`

t.test('a batch is answered in the order asked, as it is stored', async (t) => {
  const { one, two } = await pair(t)
  const asked = ['missing', ...keys.slice(0, 50).reverse(), '__proto__', 'key-0', 'key-0']
  const members = [...new Set(asked)].map(
    (key) => `${JSON.stringify(key)}:${keys.includes(key) ? stored(key, true) : 'null'}`,
  )
  for (const instance of [one, two]) {
    const { status, text, headers } = await got('/views/counts', instance, post(asked))
    t.equal(status, 200)
    t.equal(text, `{${members.join(',')}}`, instance.name)
    t.equal(headers['millrace-stale'], undefined)
  }
  t.equal((await got('/views/counts', one, post([]))).text, '{}')
})

t.test('pages and lines of a list are those of all instances, in key order', async (t) => {
  const { one, two } = await pair(t)
  for (const instance of [one, two]) {
    const whole = await got('/views/counts', instance, lines)
    t.equal(whole.headers['content-type'], 'application/x-ndjson')
    t.ok(whole.text === keys.map(lineOf).join(''), `all lines at ${instance.name}`)
    const some = await got('/views/counts?prefix=key-1&limit=3', instance, lines)
    const wanted = keys.filter((key) => key.startsWith('key-1'))
    t.equal(some.text, wanted.slice(0, 3).map(lineOf).join(''))
    const paged: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`
      const page = await got(`/views/counts?prefix=key-1&limit=400${query}`, instance)
      const told: { entries: { key: string }[]; cursor: string | null } = JSON.parse(page.text)
      paged.push(...told.entries.map(({ key }) => key))
      cursor = told.cursor
    }
    t.same(paged, wanted)
    t.match(await got('/views/counts', instance, { ...lines, method: 'HEAD' }), { text: '' })
  }
})

t.test(
  'what is at neither is waited for, and refused; ?stale=ok takes what is there',
  async (t) => {
    const { one, two } = await pair(t, { graceMs: 50 })
    const three = await startInstance(t, 'three', { graceMs: 60_000 })
    await three.table('counts', { codec: 'json' }, {})
    three.owns(2)
    two.owns(3)
    const asked = [keyIn(0), keyIn(2)]
    for (const sent of [post(asked), lines, {}]) {
      t.match(await got('/views/counts', one, sent), {
        status: 503,
        headers: { 'retry-after': '1' },
        text: /RECOVERING.*partition 2/,
      })
      t.match(await got('/views/counts?stale=ok', one, sent), {
        status: 200,
        headers: { 'millrace-stale': 'true' },
      })
    }
    // Each tries until it is told who has the partition.
    tell(three, [one, 0, 1], [two, 2, 3])
    const all = [post(asked), lines, {}].map((sent) => got('/views/counts', three, sent))
    three.owns(2)
    t.match(await Promise.all(all), [{ status: 200 }, { status: 200 }, { status: 200 }])
  },
)

t.test('a list that cannot go on where it began is broken off', async (t) => {
  const { one, two } = await pair(t)
  // The second page is asked for when the first has been sent, and the partition is gone by then.
  const table = two.catalog.table('counts')
  if (table === undefined) throw new Error('no table')
  const { range } = table.view
  table.view.range = (options) => leavingAfter(range(options), 1, () => two.owns())
  await t.rejects(got('/views/counts', one, lines), { code: 'ECONNRESET' })
  t.match(one.lines.join('\n'), /PEER_UNREACHABLE.*a list broke off/)
  t.match(two.lines.join('\n'), /a list broke off/)
})

async function* leavingAfter(pages: AsyncIterable<Entry[]>, count: number, leave: () => void) {
  let nth = 0
  for await (const page of pages) {
    if (nth === count) leave()
    nth += 1
    yield page
  }
}

t.test('a client that leaves ends what others read for it', async (t) => {
  const { one, two } = await pair(t)
  const table = two.catalog.table('counts')
  if (table === undefined) throw new Error('no table')
  let left = () => {}
  const hasLeft = new Promise<void>((resolve) => {
    left = resolve
  })
  table.view.range = () => endless(left)
  const controller = new AbortController()
  const answer = await fetch(`${one.url}/views/counts`, { ...lines, signal: controller.signal })
  await answer.body?.getReader().read()
  controller.abort()
  await hasLeft
  t.pass('the range was left')
})

/** Of one key after another in the partition. */
async function* endless(left: () => void): AsyncGenerator<Entry[]> {
  try {
    for (let n = 0; ; n++) {
      const key = `z-${String(n).padStart(9, '0')}`
      yield [{ key: Buffer.from(key), value: Buffer.alloc(10_000, '1') }]
    }
  } finally {
    left()
  }
}

t.test('a key is evicted from a view at every instance', async (t) => {
  const { one, two } = await pair(t)
  for (const { catalog } of [one, two]) {
    catalog.views.add('counts')
    catalog.fakes = [{ name: 'counts', inputs: [] }]
  }
  const evict = { method: 'DELETE' }
  t.match(await got('/views/counts/key-1', one, evict), { status: 204 })
  for (const { catalog } of [one, two]) t.match(catalog.evicted, [['counts', Number, 'key-1']])
  await two.stop()
  t.match(await got('/views/counts/key-2', one, evict), {
    status: 503,
    headers: { 'retry-after': '1' },
    text: /PEER_UNREACHABLE.*evicted here, and not everywhere/,
  })
})

t.test('pages come in pieces of any size', (t) => {
  const pages = [
    [{ key: Buffer.from('a'), value: Buffer.from('1') }],
    [],
    keys.slice(0, 10).map((key) => ({ key: Buffer.from(key), value: Buffer.from(`v${key}`) })),
  ]
  const bytes = Buffer.concat(pages.map(packPage))
  for (const size of [1, 3, 4, 17, bytes.length]) {
    const reader = new PageReader()
    const found: Entry[][] = []
    for (let at = 0; at < bytes.length; at += size) {
      reader.push(bytes.subarray(at, at + size))
      for (let page = reader.next(); page !== undefined; page = reader.next()) found.push(page)
    }
    t.strictSame(found, pages, `${size}`)
    t.notOk(reader.isWithin)
  }
  const cut = new PageReader()
  cut.push(bytes.subarray(0, 5))
  t.equal(cut.next(), undefined)
  t.ok(cut.isWithin)
  t.end()
})
