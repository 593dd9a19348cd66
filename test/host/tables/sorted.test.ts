// Sorted entries in memory against a plain list: any changes, any bounds, snapshots that stay what they were.
import t from 'tap'
import { Sorted } from '#host/tables/sorted.js'
import { numbers } from './conformance.js'

t.test('entries, ranges and snapshots agree with a list that is sorted each time', async (t) => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const below = numbers(seed)
    const sorted = new Sorted<number>()
    const model = new Map<string, number>()
    const key = () => String.fromCharCode(...Array.from({ length: below(4) }, () => below(256)))
    const listed = (from?: string, to?: string) =>
      [...model]
        .filter(([key]) => (from === undefined || key >= from) && (to === undefined || key < to))
        .sort(([a], [b]) => (a < b ? -1 : 1))
    const snapshots: { found: Iterable<unknown>; expected: unknown[] }[] = []
    for (let n = 0; n < 6000; n += 1) {
      const changed = key()
      if (below(3) === 0) {
        sorted.delete(changed)
        model.delete(changed)
      } else {
        sorted.set(changed, n)
        model.set(changed, n)
      }
      if (n % 500 === 499) {
        snapshots.push({ found: sorted.range({}), expected: listed() })
        const [from, to] = [key(), key()]
        t.same([...sorted.range({ from, to })], listed(from, to), `seed ${seed}`)
        t.same([...sorted.range({ from, isReverse: true })], listed(from).reverse())
      }
    }
    for (const [name, value] of model) {
      if (sorted.get(name) !== value) t.fail(`seed ${seed}: ${JSON.stringify(name)} has its value`)
    }
    t.equal(sorted.get('not there'), undefined)
    for (const { found, expected } of snapshots) t.same([...found], expected, 'of its instant')
    for (const name of model.keys()) sorted.delete(name)
    t.ok(sorted.isEmpty)
    t.same([...sorted.range({})], [])
  }
})

t.test('keys that come in order, up or down, are all there', async (t) => {
  const keys = Array.from({ length: 5000 }, (_, n) => String(n).padStart(5, '0'))
  for (const order of [keys, keys.toReversed()]) {
    const sorted = new Sorted<string>()
    for (const key of order) sorted.set(key, key)
    t.same(
      [...sorted.range({})].map(([key]) => key),
      keys,
    )
  }
})
