// The partitioner against hashes that Kafka's Java client has computed, and against partitions that Goka has chosen.
// test/fixtures/murmur2.json was made once with Utils.murmur2 and Utils.toPositive of org.apache.kafka:kafka-clients:4.1.0:
// rows of key (hex), murmur2, and the partition out of 4, of 10 and of 12.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { fnv1a, murmur2, partitionOf } from '#host/log/partitioner.js'

type Row = [key: string, hash: number, of4: number, of10: number, of12: number]

t.test('hashes and partitions every key as the Java client does', async (t) => {
  const rows: Row[] = JSON.parse(readFileSync('test/fixtures/murmur2.json', 'utf8'))
  t.ok(rows.length >= 200)
  t.same(new Set(rows.map(([hex]) => (hex.length / 2) % 4)), new Set([0, 1, 2, 3]))
  const ours = rows.map(([hex]): Row => {
    const key = Buffer.from(hex, 'hex')
    const of = (partitions: number) => partitionOf(key, partitions, 'murmur2')
    return [hex, murmur2(key), of(4), of(10), of(12)]
  })
  t.same(ours, rows)
})

t.test('places keys as Goka places them', async (t) => {
  const chosen = { '': 5, key1: 3, key2: 2, 'some-key': 7, 'user-3': 8, '0': 3, '02': 3 }
  const ours = Object.keys(chosen).map((key): [string, number] => [
    key,
    partitionOf(Buffer.from(key), 10, 'fnv1a'),
  ])
  t.same(Object.fromEntries(ours), chosen)
  // Of the list that the hash's authors publish; and bytes beyond ASCII.
  t.equal(fnv1a(Buffer.from('a')), 0xe40c292c | 0)
  t.equal(fnv1a(Buffer.from('foobar')), 0xbf9cf968 | 0)
  t.equal(fnv1a(Buffer.from('ff00000127', 'hex')), 0xb83f1c7e | 0)
})

t.test('places the key whose hash has no positive counterpart where Goka writes it', async (t) => {
  const key = Buffer.from('key-4393643603')
  t.equal(fnv1a(key) >>> 0, 0x8000_0000)
  for (const [partitions, expected] of [
    [1, 0],
    [3, 2],
    [4, 0],
    [7, 2],
    [10, 8],
    [12, 8],
  ] as const) {
    // In Go, int32(0x80000000) % 10 is -8, and the producer then drops the sign.
    t.equal(partitionOf(key, partitions, 'fnv1a'), expected, `of ${partitions}`)
  }
})
