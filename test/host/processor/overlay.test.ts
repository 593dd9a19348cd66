// The overlay forgets nothing that the store does not hold, and keeps its bounds for the rest.
import t from 'tap'
import { Random } from '#host/log/memory/random.js'
import { Overlay } from '#host/processor/overlay.js'

t.test('what is dirty or in flight is never forgotten, however small the cache', async (t) => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new Random(seed)
    const overlay = new Overlay(random.upTo(2_000))
    const store = new Map<string, string | null>()
    const newest = new Map<string, string | null>()
    let frozen: ReturnType<Overlay['freeze']> | undefined
    for (let step = 0; step < 2_000; step += 1) {
      const key = `key-${random.upTo(60)}`
      const fate = random.upTo(100)
      if (fate < 50) {
        const value = random.happens(0.2) ? null : 'x'.repeat(random.upTo(40)) + step
        overlay.set(key, value)
        newest.set(key, value)
      } else if (fate < 90) {
        const known = overlay.get(key)
        const stored = store.get(key) ?? null
        if (known === undefined) overlay.learned(key, stored)
        const found = known === undefined ? stored : known
        if (found !== (newest.get(key) ?? null)) t.equal(found, newest.get(key), `seed ${seed}`)
      } else if (fate < 95) {
        // One flush at a time.
        if (frozen !== undefined) continue
        frozen = overlay.freeze()
        t.equal(new Set(frozen.map(([name]) => name)).size, frozen.length, 'each key once')
        t.equal(overlay.changedBytes, 0)
      } else if (frozen !== undefined) {
        for (const [name, held] of frozen) store.set(name, held as string | null)
        frozen = undefined
        overlay.settled()
      }
    }
    for (const [name, held] of frozen ?? []) store.set(name, held as string | null)
    overlay.settled()
    for (const [name, held] of overlay.freeze()) store.set(name, held as string | null)
    t.strictSame(store, newest, `seed ${seed}: the flushes hold everything`)
  }
})

t.test('what the store holds is forgotten when it is too much', async (t) => {
  const overlay = new Overlay(10_000)
  for (let n = 0; n < 1_000; n += 1) overlay.learned(`key-${n}`, 'value')
  const known = Array.from({ length: 1_000 }, (_, n) => overlay.get(`key-${n}`)).filter(Boolean)
  t.ok(known.length > 10 && known.length < 200, `${known.length} of 1,000 are known`)
})

t.test('the changed bytes are those of the newest values', async (t) => {
  const overlay = new Overlay(1_000)
  overlay.set('a', 'x'.repeat(100))
  const once = overlay.changedBytes
  overlay.set('a', 'x'.repeat(10))
  t.equal(overlay.changedBytes, once - 90)
  overlay.freeze()
  overlay.set('a', 'x'.repeat(100))
  t.equal(overlay.changedBytes, once, 'a change of a key in flight is a change anew')
})
