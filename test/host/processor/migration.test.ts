// Migration: what the table's codec does not take becomes, by way of `migrate`, what it would have stored.
import { bytes, int64, json, string } from 'millrace'
import t from 'tap'
import { z } from 'zod'
import { type TableDefinition, tableCodec } from '#host/processor/migration.js'

const table = json(z.object({ total: z.number(), unit: z.string().default('pcs') }))
const from = json<{ count: number }>()
const to = (old: { count: number }) => ({ total: old.count })
const codecOf = (definition: unknown) => tableCodec(definition as TableDefinition)
const stored = (text: string) => Buffer.from(text)

t.test('what the codec takes is left alone', async (t) => {
  const codec = codecOf({ table, migrate: { from, to: () => t.fail('asked') } })
  t.same(codec.revive(stored('{"total":1}')), { total: 1, unit: 'pcs' })
  t.same(codec.current(stored('{"total":1}')), stored('{"total":1}'))
  t.equal(codec.snapshot({ total: 2 }), '{"total":2}')
  t.same(codec.revive(codec.snapshot({ total: 2 })), { total: 2, unit: 'pcs' })
})

t.test('what it does not take is made anew, and read by the codec itself', async (t) => {
  const codec = codecOf({ table, migrate: { from, to } })
  t.same(codec.revive(stored('{"count":7}')), { total: 7, unit: 'pcs' })
  t.equal(codec.current(stored('{"count":7}')), '{"total":7}')
})

t.test('between codecs of any kind', async (t) => {
  const cases: [what: string, definition: unknown, before: Buffer, after: unknown][] = [
    [
      'text to integer',
      { table: int64, migrate: { from: string, to: (text: string) => text.length } },
      stored('four'),
      4n,
    ],
    [
      'JSON to bytes of one’s own',
      {
        table: {
          encode: (n: number) => Uint8Array.of(n),
          decode: ([n, further]: Uint8Array) => {
            if (further !== undefined) throw new Error('one byte is too much')
            return n
          },
        },
        migrate: { from: json<{ n: number }>(), to: ({ n }: { n: number }) => n },
      },
      stored('{"n":9}'),
      9,
    ],
    [
      'bytes to JSON',
      { table: json(), migrate: { from: bytes, to: (raw: Uint8Array) => [...raw] } },
      Buffer.of(0xff, 0x00),
      [255, 0],
    ],
  ]
  for (const [what, definition, before, after] of cases) {
    t.same(codecOf(definition).revive(before), after, what)
  }
})

t.test('what cannot be made anew throws, and says where it failed', async (t) => {
  const read = (migrate: unknown, text: string) => () =>
    codecOf({ table, migrate }).revive(stored(text))
  t.throws(read(undefined, '{"count":7}'), { name: 'ValidationError' }, 'without migrate')
  t.throws(read({ from, to }, '{broken'), {
    message: /neither the table's codec takes it \(.*\), nor the one of migrate\.from \(no JSON/,
  })
  t.throws(read({ from, to: () => ({ total: 'x' }) }, '{"count":7}'), {
    message: /does not take what migrate\.to made of it: .*total/,
  })
  t.throws(read({ from, to: () => undefined }, '{"count":7}'), {
    message: /does not take what migrate\.to made of it/,
  })
  const failing = () => {
    throw new RangeError('no')
  }
  t.throws(read({ from, to: failing }, '{"count":7}'), { name: 'RangeError', message: 'no' })
  const late = async () => Promise.reject(new Error('nobody waits for it'))
  t.throws(read({ from, to: late }, '{"count":7}'), { message: /returned a promise/ })
})
