// The partitioner against hashes that Kafka's Java client has computed.
// test/fixtures/murmur2.json was made once with Utils.murmur2 and Utils.toPositive of org.apache.kafka:kafka-clients:4.1.0:
// rows of key (hex), murmur2, and the partition out of 4, of 10 and of 12.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { murmur2, partitionOf } from '#host/log/partitioner.js'

type Row = [key: string, hash: number, of4: number, of10: number, of12: number]

t.test('hashes and partitions every key as the Java client does', async (t) => {
  const rows: Row[] = JSON.parse(readFileSync('test/fixtures/murmur2.json', 'utf8'))
  t.ok(rows.length >= 200)
  t.same(new Set(rows.map(([hex]) => (hex.length / 2) % 4)), new Set([0, 1, 2, 3]))
  const ours = rows.map(([hex]): Row => {
    const key = Buffer.from(hex, 'hex')
    return [hex, murmur2(key), partitionOf(key, 4), partitionOf(key, 10), partitionOf(key, 12)]
  })
  t.same(ours, rows)
})
