// What a store has to do with what is written and read by key.
import assert from 'node:assert/strict'
import type { Change } from '../../tables/store.js'
import { all, check, metaAt, put, shown, type TableStoreCheck } from './helpers.js'

export const writeChecks: readonly TableStoreCheck[] = [
  check('a partition that was never written has neither values nor meta', async (store) => {
    const partition = store.partition(0)
    assert.equal(partition.meta(), undefined)
    assert.equal(partition.get(Buffer.from('a')), undefined)
    assert.deepEqual(await all(partition.range()), [])
  }),

  check('a settled write is read, as value, meta and in a range', async (store) => {
    const partition = store.partition(0)
    await partition.write([put('b', '2'), put('a', '1')], metaAt(2))
    assert.deepEqual(partition.get(Buffer.from('a')), Buffer.from('1'))
    assert.deepEqual(partition.meta(), metaAt(2))
    await partition.write([put('a', '3'), [Buffer.from('b'), null], put('c', '4')], metaAt(5))
    assert.equal(partition.get(Buffer.from('b')), undefined)
    assert.deepEqual(shown(await all(partition.range())), ['a=3', 'c=4'])
    assert.deepEqual(partition.meta(), metaAt(5))
    assert.deepEqual(
      store.partition(0).get(Buffer.from('a')),
      Buffer.from('3'),
      'by another handle too',
    )
  }),

  check('the last change of a key in one write wins', async (store) => {
    const partition = store.partition(0)
    const gone: Change = [Buffer.from('gone'), null]
    const back: Change = [Buffer.from('back'), null]
    await partition.write(
      [put('a', '1'), put('a', '2'), put('gone', '1'), gone, back, put('back', '1')],
      metaAt(1),
    )
    assert.deepEqual(shown(await all(partition.range())), ['a=2', 'back=1'])
  }),

  check('writes that are not awaited land in the order of the calls', async (store) => {
    const partition = store.partition(0)
    const filler = 'x'.repeat(20_000)
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        // Sizes differ, so that a pool of threads would finish them in another order.
        const changes = Array.from({ length: (n * 7) % 11 }, (_, k) => put(`filler-${k}`, filler))
        return partition.write([...changes, put('a', String(n))], metaAt(n))
      }),
    )
    assert.deepEqual(partition.get(Buffer.from('a')), Buffer.from('59'))
    assert.equal(partition.meta()?.changelog.next, 59)
  }),

  check('the changes are read once and at the call', async (store) => {
    const partition = store.partition(0)
    const key = Buffer.from('a')
    const value = Buffer.from('1')
    const changes: Change[] = [[key, value]]
    const written = partition.write(changes.values(), metaAt(1))
    changes.push(put('late', '1'))
    key.fill('z')
    value.fill('9')
    await written
    assert.deepEqual(shown(await all(partition.range())), ['a=1'])
    partition.get(Buffer.from('a'))?.fill('7')
    assert.deepEqual(
      partition.get(Buffer.from('a')),
      Buffer.from('1'),
      'what was read is the caller’s own',
    )
  }),

  check('nothing is written when the changes throw half way', async (store) => {
    const partition = store.partition(0)
    await partition.write([put('a', '1')], metaAt(1))
    function* broken(): Generator<Change> {
      yield put('a', '2')
      throw new RangeError('no more')
    }
    await assert.rejects(partition.write(broken(), metaAt(2)), { message: 'no more' })
    assert.deepEqual(shown(await all(partition.range())), ['a=1'])
    assert.deepEqual(partition.meta(), metaAt(1))
    await partition.write([put('a', '3')], metaAt(3))
    assert.deepEqual(shown(await all(partition.range())), ['a=3'], 'the next write works')
  }),

  check('empty and binary, short and long keys and values come back as they are', async (store) => {
    const partition = store.partition(0)
    const keys = ['', '00', '0000', '00ff', 'ff', 'ffff', 'ff00', '7f', '80', '0a'.repeat(5000)]
    const values = keys.map((key, n) => Buffer.from(n === 1 ? '' : `${key}00ff`, 'hex'))
    const changes = keys.map((key, n): Change => [Buffer.from(key, 'hex'), values[n] ?? null])
    await partition.write(changes, metaAt(1))
    for (const [key, value] of changes) {
      assert.deepEqual(partition.get(key), value, key.toString('hex').slice(0, 20))
    }
    const entries = await all(partition.range())
    assert.deepEqual(
      entries.map(({ key }) => key.toString('hex')),
      [...keys].sort(),
    )
    assert.deepEqual(
      entries.map(({ value }) => value),
      [...changes].sort((a, b) => Buffer.compare(a[0], b[0])).map(([, value]) => value),
    )
  }),
]
