// What of a store lies apart, what is wiped, and what outlives a handle.
import assert from 'node:assert/strict'
import type { Change, PartitionStore } from '../../tables/store.js'
import { all, check, metaAt, put, shown, type TableStoreCheck } from './helpers.js'

async function assertEmpty(partition: PartitionStore): Promise<void> {
  assert.equal(partition.meta(), undefined, 'what is not kept is not kept in part')
  assert.deepEqual(await all(partition.range()), [])
}

export const lifeChecks: readonly TableStoreCheck[] = [
  check('neighbouring partitions do not see each other', async (store) => {
    const numbers = [0, 1, 2, 255, 256, 65_535, 65_536, 0x7fffffff]
    for (const n of numbers) {
      const edges: Change[] = ['', '00', 'ff', 'ffffffffffff'].map((key) => [
        Buffer.from(key, 'hex'),
        Buffer.from(String(n)),
      ])
      await store.partition(n).write(edges, metaAt(n))
    }
    for (const n of numbers) {
      const values = (await all(store.partition(n).range())).map(({ value }) => value.toString())
      assert.deepEqual(values, Array(4).fill(String(n)), `partition ${n}`)
      assert.equal(store.partition(n).meta()?.changelog.next, n)
    }
    await store.partition(256).wipe()
    await store.partition(0).wipe()
    assert.deepEqual(await all(store.partition(256).range()), [])
    assert.equal(store.partition(256).meta(), undefined)
    for (const n of [1, 2, 255, 65_535, 65_536, 0x7fffffff]) {
      assert.equal((await all(store.partition(n).range())).length, 4, `partition ${n} is whole`)
      assert.ok(store.partition(n).meta())
    }
  }),

  check('copies of other tables lie beside the table, each apart', async (store, home) => {
    const places = [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 1 },
      { topic: 'a-b', partition: 0 },
      { topic: 'b'.repeat(249), partition: 65_536 },
    ]
    assert.deepEqual(await store.copies(), [])
    await store.partition(0).write([put('k', 'own')], metaAt(9))
    for (const [n, of] of places.entries()) {
      await store.copy(of).write([put('k', String(n)), put('', 'empty')], metaAt(n))
    }
    const sorted = (found: readonly { topic: string; partition: number }[]) =>
      found.map(({ topic, partition }) => `${topic} ${partition}`).sort()
    assert.deepEqual(sorted(await store.copies()), sorted(places))
    for (const [n, of] of places.entries()) {
      assert.deepEqual(shown(await all(store.copy(of).range())), ['=empty', `k=${n}`])
      assert.deepEqual(store.copy(of).meta(), metaAt(n))
    }
    assert.deepEqual(shown(await all(store.partition(0).range())), ['k=own'], 'and so is the table')
    assert.equal(store.partition(1).meta(), undefined)
    const [gone = { topic: '', partition: 0 }, ...left] = places
    await store.copy(gone).wipe()
    assert.equal(store.copy(gone).get(Buffer.from('k')), undefined)
    assert.deepEqual(sorted(await store.copies()), sorted(left))
    await store[Symbol.asyncDispose]()
    await using again = await home.open()
    if (home.isForgetful) return assert.deepEqual(await again.copies(), [], 'nothing is left')
    assert.deepEqual(sorted(await again.copies()), sorted(left), 'also when it is opened anew')
    assert.deepEqual(
      again.copy({ topic: 'a-b', partition: 0 }).get(Buffer.from('k')),
      Buffer.from('2'),
    )
    assert.deepEqual(again.partition(0).get(Buffer.from('k')), Buffer.from('own'))
  }),

  check('a wiped partition can be written again', async (store) => {
    const partition = store.partition(7)
    await partition.write([put('a', '1'), put('b', '1')], metaAt(1))
    await partition.wipe()
    assert.equal(partition.get(Buffer.from('a')), undefined)
    await partition.write([put('b', '2')], metaAt(2))
    assert.deepEqual(shown(await all(partition.range())), ['b=2'])
    assert.deepEqual(partition.meta(), metaAt(2))
    const [wiped, written] = [partition.wipe(), partition.write([put('c', '3')], metaAt(3))]
    await Promise.all([wiped, written])
    assert.deepEqual(
      shown(await all(partition.range())),
      ['c=3'],
      'also by a call that did not wait',
    )
    assert.deepEqual(partition.meta(), metaAt(3))
    await partition.wipe()
    await partition.wipe()
    assert.equal(partition.meta(), undefined)
  }),

  check(
    'what is dropped is gone, and what that has left of it is no table',
    async (store, home) => {
      const partition = store.partition(6)
      const live = new AbortController()
      assert.equal(partition.isThere(), false)
      const many = Array.from({ length: 3_000 }, (_, n) => put(`k${n}`, 'x'))
      await partition.write(many, metaAt(1))
      await store.partition(7).write([put('a', '1')], metaAt(1))
      assert.equal(partition.isThere(), true)
      await partition.drop(live.signal)
      await assertEmpty(partition)
      assert.equal(partition.isThere(), false)
      await partition.write([put('k1', '2')], metaAt(2))
      assert.deepEqual(shown(await all(partition.range())), ['k1=2'], 'it can be written again')

      await partition.write(many, metaAt(3))
      const dropping = partition.drop(live.signal)
      live.abort()
      await dropping
      assert.equal(partition.meta(), undefined, 'given up on its way')
      await store[Symbol.asyncDispose]()
      await using again = await home.open()
      assert.equal(again.partition(6).meta(), undefined)
      await again.partition(6).wipe()
      await assertEmpty(again.partition(6))
      assert.equal(again.partition(6).isThere(), false)
      if (!home.isForgetful) assert.deepEqual(shown(await all(again.partition(7).range())), ['a=1'])
    },
  ),

  check('content is there again for the next handle', async (store, home) => {
    await store.partition(4).write([put('a', '1')], metaAt(1))
    await store.partition(5).write([put('a', '2')], metaAt(2))
    await store.partition(5).wipe()
    await store[Symbol.asyncDispose]()
    await using again = await home.open()
    assert.equal(again.partition(5).meta(), undefined)
    if (home.isForgetful) return await assertEmpty(again.partition(4))
    assert.deepEqual(shown(await all(again.partition(4).range())), ['a=1'])
    assert.deepEqual(again.partition(4).meta(), metaAt(1))
  }),

  check('disposing waits for what is being written, and may be repeated', async (store, home) => {
    const value = 'x'.repeat(1000)
    const changes = Array.from({ length: 5000 }, (_, n) => put(String(n), value))
    const written = store.partition(0).write(changes, metaAt(1))
    const wiped = store.partition(1).wipe()
    await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
    await Promise.all([written, wiped])
    await store[Symbol.asyncDispose]()
    await using again = await home.open()
    if (home.isForgetful) return await assertEmpty(again.partition(0))
    assert.equal((await all(again.partition(0).range())).length, 5000)
  }),

  check('every operation after disposing is refused with STORE_FAILED', async (store) => {
    const partition = store.partition(0)
    await partition.write([put('a', '1')], metaAt(1))
    await store[Symbol.asyncDispose]()
    const closed = { name: 'HostError', code: 'STORE_FAILED', message: /closed/ }
    for (const handle of [partition, store.partition(0), store.partition(1)]) {
      assert.throws(() => handle.get(Buffer.from('a')), closed)
      assert.throws(() => handle.meta(), closed)
      assert.throws(() => handle.range(), closed)
      await assert.rejects(handle.write([put('a', '2')], metaAt(2)), closed)
      await assert.rejects(handle.wipe(), closed)
    }
  }),
]
