// Bytes of texts that lie side by side: each has to be what it would be alone, and stay so.
import t from 'tap'
import { TextBytes } from '#host/processor/text-bytes.js'

const texts = [
  '',
  'user-1',
  '{"count":12}',
  'Zoë',
  'ÿ',
  'at the end ü',
  '\u0000\u007f\u0080',
  '漢字'.repeat(10),
  '😀',
  // Halves of a pair: Node puts U+FFFD for them.
  '\ud800',
  'a\udc00b',
  'x'.repeat(48),
  'x'.repeat(49),
  `${'x'.repeat(47)}é`,
  '漢'.repeat(1365),
  'y'.repeat(1366),
  '漢'.repeat(100_000),
]

t.test('each text has the bytes that it has alone', async (t) => {
  for (const expected of [0, 10, 1_000_000]) {
    const bytes = new TextBytes(expected)
    for (const text of texts) t.same(bytes.of(text), Buffer.from(text))
  }
})

t.test('a text stays as it is when others follow, however many were expected', async (t) => {
  for (const expected of [0, 100, 100_000]) {
    const bytes = new TextBytes(expected)
    const all = Array.from({ length: 20_000 }, (_, n) => `${texts[n % 14]}${n}`)
    const made = all.map((text) => bytes.of(text))
    t.ok(
      made.every((found, n) => found.equals(Buffer.from(all[n] ?? ''))),
      `${expected} expected`,
    )
  }
})

t.test('few texts take no more memory than they need', async (t) => {
  const bytes = new TextBytes('user-1{"count":1}'.length)
  const [key, value] = [bytes.of('user-1'), bytes.of('{"count":1}')]
  t.ok(key.buffer.byteLength + value.buffer.byteLength < 200)
})
