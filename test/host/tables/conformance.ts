// What every store has to do, whatever it keeps its values in.
import type { Test } from 'tap'
import type { Change, Entry, PartitionMeta, RangeOptions, TableStore } from '#host/tables/store.js'

/** A place for one store that outlives the handles on it. */
export interface Place {
  open(): Promise<TableStore>
}

export const metaAt = (next: number): PartitionMeta => ({
  layout: 2,
  changelog: { topic: 'clicks-table', topicId: 'a-topic', leaderEpoch: 3, next },
  appliedAt: 1_700_000_000_000 + next,
  inputs: [{ topic: 'clicks', topicId: 'another', offset: next * 2 }],
})

export const put = (key: string, value: string): Change => [Buffer.from(key), Buffer.from(value)]

export async function all(range: AsyncIterable<Entry[]>): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const page of range) entries.push(...page)
  return entries
}

/** Entries as text, bytes one to one. */
export const shown = (entries: readonly Entry[]): string[] =>
  entries.map(({ key, value }) => `${key.toString('latin1')}=${value.toString('latin1')}`)

/** Numbers below `limit`, the same for the same seed. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 0x80000000
    return Math.floor((state / 0x80000000) * limit)
  }
}

export function storeConformance(t: Test, name: string, place: (t: Test) => Place): void {
  const test = (title: string, body: (t: Test, store: TableStore, place: Place) => Promise<void>) =>
    void t.test(`${name}: ${title}`, async (t) => {
      const here = place(t)
      await using store = await here.open()
      await body(t, store, here)
    })

  test('a partition that was never written has neither values nor meta', async (t, store) => {
    const partition = store.partition(0)
    t.equal(partition.meta(), undefined)
    t.equal(partition.get(Buffer.from('a')), undefined)
    t.same(await all(partition.range()), [])
  })

  test('a settled write is read, as value, meta and in a range', async (t, store) => {
    const partition = store.partition(0)
    await partition.write([put('b', '2'), put('a', '1')], metaAt(2))
    t.same(partition.get(Buffer.from('a')), Buffer.from('1'))
    t.same(partition.meta(), metaAt(2))
    await partition.write([put('a', '3'), [Buffer.from('b'), null], put('c', '4')], metaAt(5))
    t.equal(partition.get(Buffer.from('b')), undefined)
    t.same(shown(await all(partition.range())), ['a=3', 'c=4'])
    t.same(partition.meta(), metaAt(5))
    t.same(store.partition(0).get(Buffer.from('a')), Buffer.from('3'), 'by another handle too')
  })

  test('the last change of a key in one write wins', async (t, store) => {
    const partition = store.partition(0)
    const gone: Change = [Buffer.from('gone'), null]
    const back: Change = [Buffer.from('back'), null]
    await partition.write(
      [put('a', '1'), put('a', '2'), put('gone', '1'), gone, back, put('back', '1')],
      metaAt(1),
    )
    t.same(shown(await all(partition.range())), ['a=2', 'back=1'])
  })

  test('writes that are not awaited land in the order of the calls', async (t, store) => {
    const partition = store.partition(0)
    const filler = 'x'.repeat(20_000)
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        // Sizes differ, so that a pool of threads would finish them in another order.
        const changes = Array.from({ length: (n * 7) % 11 }, (_, k) => put(`filler-${k}`, filler))
        return partition.write([...changes, put('a', String(n))], metaAt(n))
      }),
    )
    t.same(partition.get(Buffer.from('a')), Buffer.from('59'))
    t.equal(partition.meta()?.changelog.next, 59)
  })

  test('the changes are read once and at the call', async (t, store) => {
    const partition = store.partition(0)
    const key = Buffer.from('a')
    const value = Buffer.from('1')
    const changes: Change[] = [[key, value]]
    const written = partition.write(changes.values(), metaAt(1))
    changes.push(put('late', '1'))
    key.fill('z')
    value.fill('9')
    await written
    t.same(shown(await all(partition.range())), ['a=1'])
    partition.get(Buffer.from('a'))?.fill('7')
    t.same(partition.get(Buffer.from('a')), Buffer.from('1'), 'what was read is the caller’s own')
  })

  test('nothing is written when the changes throw half way', async (t, store) => {
    const partition = store.partition(0)
    await partition.write([put('a', '1')], metaAt(1))
    function* broken(): Generator<Change> {
      yield put('a', '2')
      throw new RangeError('no more')
    }
    await t.rejects(partition.write(broken(), metaAt(2)), { message: 'no more' })
    t.same(shown(await all(partition.range())), ['a=1'])
    t.same(partition.meta(), metaAt(1))
    await partition.write([put('a', '3')], metaAt(3))
    t.same(shown(await all(partition.range())), ['a=3'], 'the next write works')
  })

  test('empty and binary, short and long keys and values come back as they are', async (t, store) => {
    const partition = store.partition(0)
    const keys = ['', '00', '0000', '00ff', 'ff', 'ffff', 'ff00', '7f', '80', '0a'.repeat(5000)]
    const values = keys.map((key, n) => Buffer.from(n === 1 ? '' : `${key}00ff`, 'hex'))
    const changes = keys.map((key, n): Change => [Buffer.from(key, 'hex'), values[n] ?? null])
    await partition.write(changes, metaAt(1))
    for (const [key, value] of changes) {
      t.same(partition.get(key), value, key.toString('hex').slice(0, 20))
    }
    const entries = await all(partition.range())
    t.same(
      entries.map(({ key }) => key.toString('hex')),
      [...keys].sort(),
    )
    t.same(
      entries.map(({ value }) => value),
      [...changes].sort((a, b) => Buffer.compare(a[0], b[0])).map(([, value]) => value),
    )
  })

  test('neighbouring partitions do not see each other', async (t, store) => {
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
      t.same(values, Array(4).fill(String(n)), `partition ${n}`)
      t.equal(store.partition(n).meta()?.changelog.next, n)
    }
    await store.partition(256).wipe()
    await store.partition(0).wipe()
    t.same(await all(store.partition(256).range()), [])
    t.equal(store.partition(256).meta(), undefined)
    for (const n of [1, 2, 255, 65_535, 65_536, 0x7fffffff]) {
      t.equal((await all(store.partition(n).range())).length, 4, `partition ${n} is whole`)
      t.ok(store.partition(n).meta())
    }
  })

  test('copies of other tables lie beside the table, each apart', async (t, store, place) => {
    const places = [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 1 },
      { topic: 'a-b', partition: 0 },
      { topic: 'b'.repeat(249), partition: 65_536 },
    ]
    t.same(await store.copies(), [])
    await store.partition(0).write([put('k', 'own')], metaAt(9))
    for (const [n, of] of places.entries()) {
      await store.copy(of).write([put('k', String(n)), put('', 'empty')], metaAt(n))
    }
    const sorted = (found: readonly { topic: string; partition: number }[]) =>
      found.map(({ topic, partition }) => `${topic} ${partition}`).sort()
    t.same(sorted(await store.copies()), sorted(places))
    for (const [n, of] of places.entries()) {
      t.same(shown(await all(store.copy(of).range())), ['=empty', `k=${n}`])
      t.same(store.copy(of).meta(), metaAt(n))
    }
    t.same(shown(await all(store.partition(0).range())), ['k=own'], 'and so is the table')
    t.equal(store.partition(1).meta(), undefined)
    const [gone = { topic: '', partition: 0 }, ...left] = places
    await store.copy(gone).wipe()
    t.equal(store.copy(gone).get(Buffer.from('k')), undefined)
    t.same(sorted(await store.copies()), sorted(left))
    await using again = await place.open()
    t.same(sorted(await again.copies()), sorted(left), 'also when it is opened anew')
    t.same(again.copy({ topic: 'a-b', partition: 0 }).get(Buffer.from('k')), Buffer.from('2'))
    t.same(again.partition(0).get(Buffer.from('k')), Buffer.from('own'))
  })

  test('a wiped partition can be written again', async (t, store) => {
    const partition = store.partition(7)
    await partition.write([put('a', '1'), put('b', '1')], metaAt(1))
    await partition.wipe()
    t.equal(partition.get(Buffer.from('a')), undefined)
    await partition.write([put('b', '2')], metaAt(2))
    t.same(shown(await all(partition.range())), ['b=2'])
    t.same(partition.meta(), metaAt(2))
    const [wiped, written] = [partition.wipe(), partition.write([put('c', '3')], metaAt(3))]
    await Promise.all([wiped, written])
    t.same(shown(await all(partition.range())), ['c=3'], 'also by a call that did not wait')
    t.same(partition.meta(), metaAt(3))
    await partition.wipe()
    await partition.wipe()
    t.equal(partition.meta(), undefined)
  })

  test('a range includes its lower bound and excludes its upper one', async (t, store) => {
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
    t.same(await between('ab'), ['ab', 'b', 'c'])
    t.same(await between(undefined, 'b'), ['a', 'ab'])
    t.same(await between('a', 'c'), ['a', 'ab', 'b'])
    t.same(await between('aa', 'bb'), ['ab', 'b'], 'bounds need not exist')
    t.same(await between('b', 'b'), [], 'nothing lies between a key and itself')
    t.same(await between('c', 'a'), [], 'nothing lies between bounds the wrong way round')
    t.same(await between('', ''), [], 'nothing lies below the empty key')
    t.same(await between(''), ['a', 'ab', 'b', 'c'])
  })

  test('ranges agree with a sorted list, for many keys and bounds', async (t, store) => {
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
        t.same(
          found.map((entry) => [entry.key.toString('hex'), entry.value.toString('hex')]),
          expected,
          `seed ${seed}: from ${from.toString('hex')} to ${to.toString('hex')}`,
        )
        const down = await all(partition.range({ from, to, isReverse: true }))
        t.same(down, found.toReversed(), `seed ${seed}: from the last key down`)
      }
    }
  })

  test('a range of many pages shows what was there at the call', async (t, store) => {
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
    t.same(
      shown(await all(before)),
      keys.map((key) => `${key}=old`),
    )
    const rest = first.done ? [] : [...first.value]
    for (let next = await during.next(); !next.done; next = await during.next()) {
      rest.push(...next.value)
    }
    t.equal(rest.length, 5001)
    t.equal(rest[4000]?.value.toString(), 'new')
    t.same(await all(partition.range()), [])
  })

  test('a range that was left early stays at its end', async (t, store) => {
    const partition = store.partition(0)
    await partition.write(
      Array.from({ length: 3000 }, (_, n) => put(String(n), 'x')),
      metaAt(1),
    )
    const range = partition.range()
    for await (const page of range) {
      t.ok(page.length > 0)
      break
    }
    t.same(await range[Symbol.asyncIterator]().next(), { done: true, value: undefined })
  })

  test('content is there again for the next handle', async (t, store, place) => {
    await store.partition(4).write([put('a', '1')], metaAt(1))
    await store.partition(5).write([put('a', '2')], metaAt(2))
    await store.partition(5).wipe()
    await store[Symbol.asyncDispose]()
    await using again = await place.open()
    t.same(shown(await all(again.partition(4).range())), ['a=1'])
    t.same(again.partition(4).meta(), metaAt(1))
    t.equal(again.partition(5).meta(), undefined)
  })

  test('disposing waits for what is being written, and may be repeated', async (t, store, place) => {
    const value = 'x'.repeat(1000)
    const changes = Array.from({ length: 5000 }, (_, n) => put(String(n), value))
    const written = store.partition(0).write(changes, metaAt(1))
    const wiped = store.partition(1).wipe()
    await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()])
    await Promise.all([written, wiped])
    await store[Symbol.asyncDispose]()
    await using again = await place.open()
    t.equal((await all(again.partition(0).range())).length, 5000)
  })

  test('every operation after disposing is refused with STORE_FAILED', async (t, store) => {
    const partition = store.partition(0)
    await partition.write([put('a', '1')], metaAt(1))
    await store[Symbol.asyncDispose]()
    const closed = { name: 'HostError', code: 'STORE_FAILED', message: /closed/ }
    for (const handle of [partition, store.partition(0), store.partition(1)]) {
      t.throws(() => handle.get(Buffer.from('a')), closed)
      t.throws(() => handle.meta(), closed)
      t.throws(() => handle.range(), closed)
      await t.rejects(handle.write([put('a', '2')], metaAt(2)), closed)
      await t.rejects(handle.wipe(), closed)
    }
  })

  test('a range that is being read when the store closes is refused', async (t, store) => {
    const partition = store.partition(0)
    await partition.write(
      Array.from({ length: 3000 }, (_, n) => put(String(n), 'x')),
      metaAt(1),
    )
    const range = partition.range()[Symbol.asyncIterator]()
    await range.next()
    await store[Symbol.asyncDispose]()
    await t.rejects(range.next(), { code: 'STORE_FAILED', message: /closed/ })
  })
}
