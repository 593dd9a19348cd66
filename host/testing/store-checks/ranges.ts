// What a store has to do with ranges.
import assert from 'node:assert/strict'
import type { Change, RangeOptions } from '../../tables/store.js'
import { all, check, metaAt, numbers, put, shown, type TableStoreCheck } from './helpers.js'

export const rangeChecks: readonly TableStoreCheck[] = [
  check('a range includes its lower bound and excludes its upper one', async (store) => {
    const partition = store.partition(3)
    await partition.write(
      ['a', 'ab', 'b', 'c'].map((key) => put(key, '1')),
      metaAt(1),
    )
    const between = async (from?: string, to?: string) => {
      const bounds: RangeOptions = {
        ...(from === undefined ? {} : { from: Buffer.from(from) }),
        ...(to === undefined ? {} : { to: Buffer.from(to) }),
      }
      return (await all(partition.range(bounds))).map(({ key }) => key.toString())
    }
    assert.deepEqual(await between('ab'), ['ab', 'b', 'c'])
    assert.deepEqual(await between(undefined, 'b'), ['a', 'ab'])
    assert.deepEqual(await between('a', 'c'), ['a', 'ab', 'b'])
    assert.deepEqual(await between('aa', 'bb'), ['ab', 'b'], 'bounds need not exist')
    assert.deepEqual(await between('b', 'b'), [], 'nothing lies between a key and itself')
    assert.deepEqual(await between('c', 'a'), [], 'nothing lies between bounds the wrong way round')
    assert.deepEqual(await between('', ''), [], 'nothing lies below the empty key')
    assert.deepEqual(await between(''), ['a', 'ab', 'b', 'c'])
  }),

  check('ranges agree with a sorted list, for many keys and bounds', async (store) => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const below = numbers(seed)
      const key = () =>
        Buffer.from(Array.from({ length: below(5) }, () => [0, 1, 127, 128, 255][below(5)] ?? 0))
      const partition = store.partition(seed)
      const model = new Map<string, string>()
      for (let write = 0; write < 8; write += 1) {
        const changes: Change[] = []
        for (let n = 0; n < 200; n += 1) {
          const [changed, value] = [key(), below(4) === 0 ? null : Buffer.from(`${write}-${n}`)]
          changes.push([changed, value])
          if (value === null) model.delete(changed.toString('hex'))
          else model.set(changed.toString('hex'), value.toString('hex'))
        }
        await partition.write(changes, metaAt(write))
      }
      for (let n = 0; n < 40; n += 1) {
        const [from, to] = [key(), key()]
        const found = await all(partition.range({ from, to }))
        const expected = [...model]
          .filter(([hex]) => hex >= from.toString('hex') && hex < to.toString('hex'))
          .sort(([a], [b]) => (a < b ? -1 : 1))
        assert.deepEqual(
          found.map((entry) => [entry.key.toString('hex'), entry.value.toString('hex')]),
          expected,
          `seed ${seed}: from ${from.toString('hex')} to ${to.toString('hex')}`,
        )
        const down = await all(partition.range({ from, to, isReverse: true }))
        assert.deepEqual(down, found.toReversed(), `seed ${seed}: from the last key down`)
      }
    }
  }),

  check('a range of many pages shows what was there at the call', async (store) => {
    const partition = store.partition(0)
    const keys = Array.from({ length: 5000 }, (_, n) => `key-${String(n).padStart(5, '0')}`)
    await partition.write(
      keys.map((key) => put(key, 'old')),
      metaAt(1),
    )
    const before = partition.range()
    await partition.write([put('key-04000', 'new'), put('zzz', 'new')], metaAt(2))
    const during = partition.range()[Symbol.asyncIterator]()
    const first = await during.next()
    await partition.wipe()
    assert.deepEqual(
      shown(await all(before)),
      keys.map((key) => `${key}=old`),
    )
    const rest = first.done ? [] : [...first.value]
    for (let next = await during.next(); !next.done; next = await during.next()) {
      rest.push(...next.value)
    }
    assert.equal(rest.length, 5001)
    assert.equal(rest[4000]?.value.toString(), 'new')
    assert.deepEqual(await all(partition.range()), [])
  }),

  check('a range that was left early stays at its end', async (store) => {
    const partition = store.partition(0)
    await partition.write(
      Array.from({ length: 3000 }, (_, n) => put(String(n), 'x')),
      metaAt(1),
    )
    const range = partition.range()
    for await (const page of range) {
      assert.ok(page.length > 0)
      break
    }
    assert.deepEqual(await range[Symbol.asyncIterator]().next(), { done: true, value: undefined })
  }),

  check('a range that is being read when the store closes is refused', async (store) => {
    const partition = store.partition(0)
    await partition.write(
      Array.from({ length: 3000 }, (_, n) => put(String(n), 'x')),
      metaAt(1),
    )
    const range = partition.range()[Symbol.asyncIterator]()
    await range.next()
    await store[Symbol.asyncDispose]()
    await assert.rejects(range.next(), { code: 'STORE_FAILED', message: /closed/ })
  }),
]
