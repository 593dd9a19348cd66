// Snapshots of values: what comes back is what JSON would give back, and nothing that a handler does reaches it.

import { bytes, int64, json, string } from 'millrace'
import t from 'tap'
import { snapshotBytes, valueCodec } from '#host/processor/value.js'

const codec = valueCodec(json())

t.test('a JSON value comes back as through its text, whatever it is', async (t) => {
  const withGetter = { a: 1 }
  Object.defineProperty(withGetter, 'b', { enumerable: true, get: () => 2 })
  Object.defineProperty(withGetter, 'hidden', { enumerable: false, value: 3 })
  class Point {
    x = 1
  }
  const values: unknown[] = [
    { count: 1 },
    { s: 'x', n: -1.5, t: true, z: null, '': 'empty', 7: 'seven' },
    {},
    { nan: Number.NaN },
    { inf: Number.POSITIVE_INFINITY },
    { zero: -0 },
    { gone: undefined, kept: 1 },
    { nested: { a: [1, 2] } },
    { when: new Date(0) },
    { method: () => 1, kept: 1 },
    { toJSON: () => 'own' },
    { [Symbol('s')]: 1, kept: 1 },
    JSON.parse('{"__proto__":1,"a":2}'),
    Object.create({ inherited: 1 }),
    Object.assign(Object.create(null), { a: 1 }),
    new Point(),
    withGetter,
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, i])),
    { lone: '\ud800', emoji: '😀', line: '\u2028' },
    [1, 'two', null],
    'text',
    0,
    false,
  ]
  for (const [index, value] of values.entries()) {
    const text = JSON.stringify(value)
    const snapshot = codec.snapshot(value)
    t.strictSame(codec.revive(snapshot), JSON.parse(text), `value ${index}`)
    t.equal(snapshotBytes(snapshot).toString(), Buffer.from(text).toString(), `value ${index}`)
    t.strictSame(
      codec.revive(snapshotBytes(snapshot)),
      JSON.parse(Buffer.from(text).toString()),
      `value ${index}`,
    )
  }
})

t.test('what is done to a value afterwards, or to what was read, changes nothing', async (t) => {
  for (const value of [{ count: 1, name: 'a' }, { list: [1] }] as Record<string, unknown>[]) {
    const text = JSON.stringify(value)
    const snapshot = codec.snapshot(value)
    value.count = 99
    value.more = true
    const read = codec.revive(snapshot) as Record<string, unknown>
    read.count = 77
    delete read.name
    t.equal(JSON.stringify(codec.revive(snapshot)), text)
  }
  const buffer = new Uint8Array([1, 2, 3])
  const raw = valueCodec(bytes)
  const kept = raw.snapshot(buffer)
  buffer[0] = 9
  ;(raw.revive(kept) as Uint8Array)[1] = 9
  t.same([...(raw.revive(kept) as Uint8Array)], [1, 2, 3])
})

t.test('what is no JSON is refused at once, not in a flush', async (t) => {
  for (const value of [undefined, () => 1, 1n, { n: 1n }, Symbol('s')]) {
    t.throws(() => codec.snapshot(value), TypeError)
  }
  const circle: { self?: unknown } = {}
  circle.self = circle
  t.throws(() => codec.snapshot(circle), TypeError)
})

t.test('bytes that are no UTF-8 are refused, a U+FFFD that was written comes back', async (t) => {
  const text = valueCodec(string)
  t.equal(text.revive(Buffer.from('a\ufffdb')), 'a\ufffdb')
  t.throws(() => text.revive(Buffer.from([0x61, 0xff, 0x62])))
  t.throws(() => valueCodec(int64).revive(Buffer.from([0xff])))
  t.equal(valueCodec(int64).revive(Buffer.from('-9223372036854775808')), -(2n ** 63n))
})
