// The view: one table in key order, whatever partition a key lies in.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLevelStore } from '#host/tables/level.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { Entry, PartitionStore, TableStore } from '#host/tables/store.js'
import { createTableView } from '#host/tables/view.js'
import { testFolder } from '../../support/folder.js'
import { all, metaAt, numbers, put, shown } from './conformance.js'

/** Writes `keys`, each to a partition by `seed`. */
async function spread(
  store: TableStore,
  partitions: number,
  keys: readonly string[],
  seed = 1,
): Promise<void> {
  const below = numbers(seed)
  const parts = Array.from({ length: partitions }, () => [put('', '')].slice(1))
  for (const key of keys) parts[below(partitions)]?.push(put(key, `value of ${key}`))
  await Promise.all(
    parts.map((changes, partition) => store.partition(partition).write(changes, metaAt(1))),
  )
}

/** Stores whose ranges say how many are open, and begin with an empty page; `failing` throws at its third. */
function counting(store: TableStore, failing?: number) {
  let open = 0
  const watched = (partition: number): PartitionStore => {
    const inner = store.partition(partition)
    const range = (...args: Parameters<PartitionStore['range']>): AsyncIterable<Entry[]> => {
      const pages = inner.range(...args)[Symbol.asyncIterator]()
      let isOpen = true
      let calls = 0
      open += 1
      return {
        [Symbol.asyncIterator]: () => ({
          async next() {
            calls += 1
            if (calls === 1) return { done: false as const, value: [] }
            if (partition === failing && calls === 3) throw new Error('the disk is gone')
            return pages.next()
          },
          async return() {
            if (isOpen) open -= 1
            isOpen = false
            return { done: true as const, value: undefined }
          },
        }),
      }
    }
    return {
      get: (key) => inner.get(key),
      meta: () => inner.meta(),
      write: (changes, meta) => inner.write(changes, meta),
      wipe: () => inner.wipe(),
      isThere: () => inner.isThere(),
      drop: (signal) => inner.drop(signal),
      range,
    }
  }
  return {
    partition: watched,
    [Symbol.asyncDispose]: async () => {},
    open: () => open,
  }
}

t.test('a key is read from the partition that is named', async (t) => {
  const store = createMemoryStore()
  await store.partition(1).write([put('a', '1')], metaAt(1))
  const view = createTableView(store, 2)
  t.same(view.get(1, Buffer.from('a')), Buffer.from('1'))
  t.equal(view.get(0, Buffer.from('a')), undefined)
  t.equal(view.get(7, Buffer.from('a')), undefined, 'a partition that the table has not')
})

for (const [name, open] of Object.entries({
  memory: async () => createMemoryStore(),
  level: (t: Test) => openLevelStore({ path: join(testFolder(t), 'store') }),
})) {
  t.test(`${name}: partitions are merged in the order of the keys' bytes`, async (t) => {
    const keys = Array.from({ length: 4000 }, (_, n) => `${(n * 7919) % 4000}-ä\u{10ffff}`)
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (const partitions of [1, 2, 3, 4, 7, 64]) {
      await t.test(`${partitions} partitions`, async (t) => {
        await using store = await open(t)
        await spread(store, partitions, keys, partitions)
        const view = createTableView(store, partitions)
        t.same(
          (await all(view.range())).map(({ key }) => key.toString()),
          sorted,
        )
        const [from, to] = [Buffer.from(sorted[100] ?? ''), Buffer.from(sorted[3100] ?? '')]
        const between = await all(view.range({ from, to }))
        t.same(
          between.map(({ key }) => key.toString()),
          sorted.slice(100, 3100),
        )
        t.ok(between.every(({ key, value }) => value.toString() === `value of ${key}`))
        t.same(await all(view.range({ from: to, to: from })), [])
      })
    }
  })
}

t.test(
  'a range of all partitions begins at any key, with it or with what comes behind it',
  async (t) => {
    const store = createMemoryStore()
    const keys = Array.from({ length: 60 }, (_, n) => `k${String(n).padStart(2, '0')}`)
    await spread(store, 3, keys)
    const view = createTableView(store, 3)
    for (const [n, key] of keys.entries()) {
      for (const [from, first] of [
        [key, n],
        [`${key}!`, n + 1],
      ] as const) {
        const found = (await all(view.range({ from: Buffer.from(from) }))).map((entry) =>
          entry.key.toString(),
        )
        t.same(found, keys.slice(first), from)
      }
    }
  },
)

t.test('partitions without a key in the range do not end it', async (t) => {
  const store = createMemoryStore()
  await store.partition(0).write([put('b', '2')], metaAt(1))
  await store.partition(3).write([put('a', '1'), put('c', '3')], metaAt(1))
  const view = createTableView(store, 5)
  t.same(shown(await all(view.range())), ['a=1', 'b=2', 'c=3'])
  t.same(await all(createTableView(createMemoryStore(), 5).range()), [])
})

t.test('a range shows all partitions as they were at the call', async (t) => {
  await using store = await openLevelStore({ path: join(testFolder(t), 'store') })
  await spread(store, 3, ['a', 'b', 'c', 'd'])
  const range = createTableView(store, 3).range()
  for (const partition of [0, 1, 2]) {
    await store.partition(partition).write([put(`b${partition}`, 'late')], metaAt(2))
  }
  t.same(
    (await all(range)).map(({ key }) => key.toString()),
    ['a', 'b', 'c', 'd'],
  )
})

t.test('ranges of all partitions are closed, however the merge ends', async (t) => {
  const store = createMemoryStore()
  const keys = Array.from({ length: 6000 }, (_, n) => `key-${n}`)
  await spread(store, 3, keys)

  const left = counting(store)
  for await (const page of createTableView(left, 3).range()) {
    t.equal(page.length, 1000)
    t.equal(left.open(), 3)
    break
  }
  t.equal(left.open(), 0, 'left early')

  const read = counting(store)
  t.same(
    (await all(createTableView(read, 3).range())).map(({ key }) => key.toString()),
    [...keys].sort(),
  )
  t.equal(read.open(), 0, 'read to the end')

  const unread = counting(store)
  const range = createTableView(unread, 3).range()[Symbol.asyncIterator]()
  t.equal(unread.open(), 3)
  await range.return?.()
  t.equal(unread.open(), 0, 'never begun')
  t.same(await range.next(), { done: true, value: undefined })

  const failing = counting(store, 1)
  await t.rejects(all(createTableView(failing, 3).range()), { message: 'the disk is gone' })
  t.equal(failing.open(), 0, 'failed')
})
