// A store of the user's own behind the port: the example passes all checks, and what a wrong one does is found.
import { appendFile, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenStore, Store, StoreEntry } from 'millrace'
import { storeChecks } from 'millrace/testing'
import t from 'tap'
import { openOwnStore } from '#host/tables/own.js'
import { journal } from '../../../examples/07-store/journal.js'
import { testFolder } from '../../support/folder.js'
import { all, metaAt, put, shown } from './conformance.js'

for (const { title, run } of storeChecks(journal)) {
  t.test(`journal: ${title}`, async (t) => {
    await run()
    t.pass()
  })
}

/** A store in memory that does everything right, but for what a test has it do otherwise. */
function mapStore(
  wrong: (right: OpenStore, values: Map<string, Buffer>) => object = () => ({}),
): Store {
  return {
    open: () => {
      const values = new Map<string, Buffer>()
      const right: OpenStore = {
        get: (key) => values.get(Buffer.from(key).toString('hex')),
        write(changes) {
          for (const [key, value] of changes) {
            const hex = Buffer.from(key).toString('hex')
            if (value === null) values.delete(hex)
            else values.set(hex, Buffer.from(value))
          }
        },
        range({ from, to, isReverse }) {
          const found = [...values]
            .map(([hex, value]): StoreEntry => [Buffer.from(hex, 'hex'), value])
            .filter(([key]) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0)
            .sort(([a], [b]) => Buffer.compare(a, b))
          return isReverse ? found.reverse() : found
        },
        close() {},
      }
      return { ...right, ...wrong(right, values) } as OpenStore
    },
  }
}

const failures = async (store: Store): Promise<string[]> => {
  const failed: string[] = []
  for (const { title, run } of storeChecks(store, { isForgetful: true })) {
    await run().catch(() => failed.push(title))
  }
  return failed
}

t.test('a store that begins empty each time is right if it says so', async (t) => {
  t.same(await failures(mapStore()), [])
  const kept = storeChecks(mapStore()).filter(({ title }) => title.startsWith('content is there'))
  for (const { run } of kept) await t.rejects(run())
})

/** What the checks find, by what is wrong. */
const wrongStores: Readonly<Record<string, Parameters<typeof mapStore>[0]>> = {
  'a range that sees what is written while it is read': (right) => ({
    *range(range: Parameters<OpenStore['range']>[0]) {
      const keys = [...(right.range(range) as StoreEntry[])].map(([key]) => key)
      for (const key of keys) {
        const value = right.get(key)
        if (value !== undefined) yield [key, value]
      }
    },
  }),
  'a range without its upper bound': (right) => ({
    range: (range: Parameters<OpenStore['range']>[0]) =>
      right.range({ ...range, to: Buffer.alloc(300, 255) }),
  }),
  'a range that knows no reverse': (right) => ({
    range: (range: Parameters<OpenStore['range']>[0]) =>
      right.range({ ...range, isReverse: false }),
  }),
  'keys in the order of their characters': (_, values) => ({
    range: ({ from, to }: Parameters<OpenStore['range']>[0]) =>
      [...values]
        .map(([hex, value]): StoreEntry => [Buffer.from(hex, 'hex'), value])
        .filter(([key]) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0)
        .sort(([a], [b]) => a.length - b.length),
  }),
  'a write that leaves deletions out': (right) => ({
    write: (changes: Parameters<OpenStore['write']>[0]) =>
      right.write(changes.filter(([, value]) => value !== null)),
  }),
  'a write that is not there when it has settled': (right) => ({
    write: (changes: Parameters<OpenStore['write']>[0]) => {
      setImmediate(() => void right.write(changes))
    },
  }),
  'keys as text': (right) => ({
    get: (key: Uint8Array) => right.get(Buffer.from(Buffer.from(key).toString('utf8'))),
    write: (changes: Parameters<OpenStore['write']>[0]) =>
      right.write(changes.map(([key, value]) => [Buffer.from(Buffer.from(key).toString()), value])),
  }),
}

for (const [what, wrong] of Object.entries(wrongStores)) {
  t.test(`the checks find ${what}`, async (t) => {
    const failed = await failures(mapStore(wrong))
    t.ok(failed.length > 0, failed.join(', '))
  })
}

const a = Buffer.from('a')

async function opened(t: Parameters<typeof testFolder>[0], store: Store) {
  const made = await openOwnStore(store, { function: 'counts', folder: testFolder(t) })
  t.teardown(async () => await made[Symbol.asyncDispose]())
  return made
}

t.test('what a store answers wrongly is STORE_FAILED, and says what it has to be', async (t) => {
  const failed = (message: RegExp) => ({ name: 'HostError', code: 'STORE_FAILED', message })
  const withGet = async (get: unknown) =>
    (
      await opened(
        t,
        mapStore(() => ({ get })),
      )
    ).partition(0)
  const later = await withGet(async () => undefined)
  t.throws(() => later.get(a), failed(/counts.*its get gave a promise.*at once/))
  const nothing = await withGet(() => null)
  t.throws(() => nothing.meta(), failed(/its get gave null/))
  const thrown = await withGet(() => {
    throw new Error('no disk')
  })
  t.throws(() => thrown.get(a), failed(/of counts could not be read: no disk/))

  const withRange = async (range: unknown) => {
    const store = await opened(
      t,
      mapStore(() => ({ range })),
    )
    return await all(store.partition(0).range())
  }
  await t.rejects(
    withRange(() => 7),
    failed(/range gave number/),
  )
  await t.rejects(
    withRange(() => [a]),
    failed(/in place of \[key, value\]/),
  )
  await t.rejects(
    withRange(() => [[a, a]]),
    failed(/not asked for: 61/),
  )
  const [one, two] = ['0300000000aa', '0300000000ab'].map((hex) => Buffer.from(hex, 'hex'))
  await t.rejects(
    withRange(async function* () {
      yield [two, a]
      yield [one, a]
    }),
    failed(/out of the order/),
  )

  for (const [open, message] of [
    [() => undefined, /its open gave undefined without get, write, range, close/],
    [() => ({ get() {}, write() {}, range() {} }), /without close/],
    [() => Promise.reject(new Error('no server')), /could not be opened: no server/],
  ] as const) {
    await t.rejects(opened(t, { open } as unknown as Store), failed(message))
  }
})

t.test('after a write that failed there are none, and closing tells what it threw', async (t) => {
  let writes = 0
  const store = await openOwnStore(
    mapStore(() => ({
      write() {
        writes += 1
        throw new Error('no room')
      },
      close: () => Promise.reject(new Error('still busy')),
    })),
    { function: 'counts', folder: testFolder(t) },
  )
  const refused = { code: 'STORE_FAILED', message: /could not be written: no room/ }
  await t.rejects(store.partition(0).write([put('a', '1')], metaAt(1)), refused)
  await t.rejects(store.partition(1).write([put('a', '1')], metaAt(1)), refused)
  t.equal(writes, 1)
  await t.rejects(async () => await store[Symbol.asyncDispose](), {
    message: /could not be closed: still busy/,
  })
})

t.test(
  'what is not what was written is STORE_DAMAGED: values, and what is known of a partition',
  async (t) => {
    let values = new Map<string, Buffer>()
    const store = await opened(
      t,
      mapStore((_, map) => {
        values = map
        return {}
      }),
    )
    await store.partition(0).write([put('a', 'one'), put('b', 'two')], metaAt(1))
    await store.partition(1).write([], metaAt(2))
    const damaged = { code: 'STORE_DAMAGED' }
    const keys = [...values.keys()]
    const [keyA = '', keyB = ''] = keys.filter((hex) => hex.startsWith('03'))
    const [meta0 = '', meta1 = ''] = keys.filter((hex) => hex.startsWith('01'))
    const before = new Map(values)
    const swapped = (one: string, other: string) => {
      values.set(one, before.get(other) ?? a)
      values.set(other, before.get(one) ?? a)
    }
    swapped(keyA, keyB)
    t.throws(() => store.partition(0).get(a), damaged, 'the value of another key')
    await t.rejects(all(store.partition(0).range()), damaged)
    swapped(keyB, keyB)
    swapped(keyA, keyA)
    t.same(shown(await all(store.partition(0).range())), ['a=one', 'b=two'])
    swapped(meta0, meta1)
    t.throws(() => store.partition(0).meta(), damaged, 'the meta of another partition')
    values.set(meta0, Buffer.from('{'))
    t.throws(() => store.partition(0).meta(), damaged, 'no meta at all')
  },
)

t.test(
  'the example cuts off what a death has left half written, and tells of damage',
  async (t) => {
    const folder = testFolder(t)
    const place = { function: 'counts', folder }
    const file = join(folder, 'journal')
    const write = async (next: number) => {
      await using store = await openOwnStore(journal, place)
      await store.partition(0).write([put('a', String(next))], metaAt(next))
    }
    await write(1)
    const { length } = await readFile(file)
    await write(2)
    for (const bytes of [1, 20, length - 1]) {
      await truncate(file, length + bytes)
      await using store = await openOwnStore(journal, place)
      t.equal(store.partition(0).meta()?.changelog.next, 1, `${bytes} bytes of a line`)
    }
    await write(3)
    await appendFile(file, 'half')
    {
      await using store = await openOwnStore(journal, place)
      t.same(shown(await all(store.partition(0).range())), ['a=3'])
    }
    const sound = await readFile(file)
    sound[30] = (sound[30] ?? 0) ^ 1
    await writeFile(file, sound)
    await t.rejects(openOwnStore(journal, place), { code: 'STORE_DAMAGED' })
    t.same(await readdir(folder), ['journal'])
  },
)
