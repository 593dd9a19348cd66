// Samples: values from all over a table, however its keys lie, and never more than are allowed.
import t from 'tap'
import { createMemoryStore } from '#host/tables/memory.js'
import { samplePartition } from '#host/tables/sample.js'
import { createTableView } from '#host/tables/view.js'
import { metaAt, put } from './conformance.js'

const everything = { maxValues: 1_000, maxBytes: 1_000_000 }

async function partitionOf(keys: readonly string[], value = 'v') {
  const partition = createMemoryStore().partition(0)
  await partition.write(
    keys.map((key) => put(key, value)),
    metaAt(1),
  )
  return partition
}

const keysOf = (entries: readonly { key: Buffer }[]) => entries.map(({ key }) => key.toString())

t.test('a small table is taken whole, each key once', async (t) => {
  const sets: [what: string, keys: string[]][] = [
    ['none', []],
    ['one', ['a']],
    ['the empty key', ['']],
    ['one that another begins with', ['a', 'aa']],
    ['those that begin alike', ['user:1', 'user:10', 'user:11', 'user:2']],
    ['next to each other', ['k\u0000', 'k\u0001', 'k\u0002']],
    ['far from each other', ['', 'a', 'zzzzzzzzzzzz', '\u{10ffff}']],
  ]
  for (const [what, keys] of sets) {
    const found = keysOf(await samplePartition(await partitionOf(keys), everything))
    t.same(found.sort(), [...keys].sort(), what)
  }
})

t.test('a large table gives as many as are allowed, from its beginning to its end', async (t) => {
  const keys = Array.from({ length: 26_000 }, (_, n) => {
    const letter = String.fromCharCode(97 + Math.floor(n / 1_000))
    return `${letter}-${String(n).padStart(6, '0')}`
  })
  const found = keysOf(
    await samplePartition(await partitionOf(keys), { maxValues: 200, maxBytes: 1_000_000 }),
  )
  t.equal(found.length, 200)
  t.equal(new Set(found).size, 200)
  const letters = new Set(found.map(([letter]) => letter))
  t.ok(letters.size >= 8, `from ${[...letters].sort()}`)
  t.ok([...letters].some((letter = '') => letter > 'v'))
})

t.test('keys that crowd in one place fill up the sample', async (t) => {
  const crowd = Array.from({ length: 500 }, (_, n) => `a${String(n).padStart(9, '0')}`)
  const found = await samplePartition(await partitionOf([...crowd, 'z']), {
    maxValues: 300,
    maxBytes: 1_000_000,
  })
  t.equal(found.length, 300)
  t.equal(new Set(keysOf(found)).size, 300)
})

t.test('values are taken up to their bytes, the first whatever it has', async (t) => {
  const keys = Array.from({ length: 100 }, (_, n) => `k${n}`)
  const store = await partitionOf(keys, 'x'.repeat(100))
  t.equal((await samplePartition(store, { maxValues: 100, maxBytes: 1_000 })).length, 10)
  t.equal((await samplePartition(store, { maxValues: 100, maxBytes: 1 })).length, 1)
})

t.test('each partition of a table gives its share', async (t) => {
  const store = createMemoryStore()
  for (const partition of [0, 1, 2]) {
    await store.partition(partition).write(
      Array.from({ length: 200 }, (_, n) => put(`k${n}`, `of ${partition}`)),
      metaAt(1),
    )
  }
  const found = await createTableView(store, 3).sample({ maxValues: 30, maxBytes: 1_000_000 })
  for (const partition of [0, 1, 2]) {
    const own = found.filter((entry) => entry.partition === partition)
    t.equal(own.length, 10)
    t.ok(own.every(({ value }) => value.toString() === `of ${partition}`))
  }
})
