// Where the functions of a test keep their tables: what outlives a crash, a swap and a rebalance, and what a store of the user's own throws.
import { defineProcessor, json, type Store } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import { journal } from '../../../examples/07-store/journal.js'

/** A store that tells how often it was opened, and whether it was empty. */
function watched(inner: Store = journal) {
  const opened: boolean[] = []
  const store: Store = {
    async open(place) {
      const made = await inner.open(place)
      const all = { from: Buffer.alloc(0), to: Buffer.alloc(8, 255), isReverse: false }
      opened.push([...(made.range(all) as Iterable<unknown>)].length === 0)
      return made
    },
  }
  return { store, opened }
}

const counterIn = (store: 'level' | 'memory' | Store) =>
  defineProcessor({
    inputs: { clicks: json<number>() },
    table: json<number>(),
    store,
    on: { clicks: (ctx, n) => ctx.set((ctx.get() ?? 0) + n) },
  })

for (const [name, store] of [
  ['memory', 'memory'],
  ['level', 'level'],
  ['a store of its own', journal],
] as const) {
  t.test(`clicks count once through crashes, with ${name}`, async (t) => {
    for (let seed = 1; seed <= 8; seed += 1) {
      await using host = await testHost({ counter: counterIn(store) }, { seed, faults: true })
      for (let n = 0; n < 30; n += 1) {
        await host.emit('clicks', `key-${n % 3}`, 1)
        if (n % 5 === 4) await host.crash()
        if (n % 7 === 6) await host.rebalance({ lost: n % 2 === 0 })
        if (n === 20) await host.crash({ store: 'lost' })
        if (n === 25) await host.swap({ counter: counterIn(store) })
      }
      await host.settled()
      t.same(
        await host.table('counter').entries(),
        ['key-0', 'key-1', 'key-2'].map((key) => [key, 10]),
        `seed ${seed}`,
      )
    }
  })
}

t.test(
  'a store of its own has after a crash what it had before, and nothing when it was lost',
  async (t) => {
    const { store, opened } = watched()
    await using host = await testHost({ counter: counterIn(store) })
    await host.emit('clicks', 'a', 1)
    await host.settled()
    await host.crash()
    await host.settled()
    t.same(opened.splice(0), [true, false])
    await host.swap({ counter: counterIn(store) })
    t.same(opened.splice(0), [false], 'each version opens it anew')
    await host.crash({ store: 'lost' })
    t.same(opened, [true])
    await host.settled()
    t.equal(host.table('counter').get('a'), 1)
  },
)

t.test('another store in a swap has what the one before had', async (t) => {
  await using host = await testHost({ counter: counterIn('level') })
  let sum = 0
  for (const store of ['memory', journal, 'level', journal, 'memory'] as const) {
    await host.emit('clicks', 'a', 1)
    sum += 1
    await host.settled()
    await host.swap({ counter: counterIn(store) })
    await host.settled()
    t.equal(host.table('counter').get('a'), sum)
  }
})

t.test('what it throws fails the test', async (t) => {
  const failing = (what: string): Store => ({
    async open(place) {
      if (what === 'open') throw new Error('no open')
      const inner = await journal.open(place)
      return {
        get(key) {
          if (what === 'get') throw new Error('no get')
          return inner.get(key)
        },
        write: (changes) =>
          what === 'write' ? Promise.reject(new Error('no write')) : inner.write(changes),
        range: (range) => inner.range(range),
        close: () => inner.close(),
      }
    },
  })
  for (const what of ['open', 'get', 'write']) {
    await t.rejects(
      async () => {
        await using host = await testHost({ counter: counterIn(failing(what)) })
        await host.emit('clicks', 'a', 1)
        await host.settled()
      },
      { code: 'STORE_FAILED', message: new RegExp(`no ${what}`) },
    )
  }
})
