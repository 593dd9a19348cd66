import t from 'tap'
import { kafkaErrorName, kafkaErrors } from '#host/log/kafka/error-codes.js'
import { readTopics, writeTopics } from '#host/log/kafka/request.js'
import { Reader, Writer } from '#host/log/kafka/wire.js'

const id = Buffer.from('0123456789abcdef').toString('base64url')

for (const isFlexible of [false, true]) {
  const form = isFlexible ? 'compact' : 'older'

  t.test(`what is written in the ${form} form is read back`, (t) => {
    // Lengths on both sides of one byte, and more than the writer begins with.
    const long = 'é'.repeat(5_000)
    const batch = Buffer.alloc(70_000, 7)
    const numbers = [0, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, -(2 ** 31)]
    const writer = new Writer(isFlexible)
    writer.int8(-8).int16(-1600).int32(-320_000).boolean(true).uuid(id).uuid(null)
    writer.string('topic').string('').string(null).string(long)
    writer.bytes(batch).bytes(Buffer.alloc(0)).bytes(null)
    writer.array(numbers, (number) => writer.int64(number)).array(null, () => {})
    writer.tags().int8(3)
    const reader = new Reader(writer.take(), isFlexible)
    t.strictSame([reader.int8(), reader.int16(), reader.int32()], [-8, -1600, -320_000])
    t.strictSame([reader.boolean(), reader.uuid(), reader.uuid()], [true, id, 'A'.repeat(22)])
    const texts = [reader.string(), reader.string(), reader.string(), reader.text()]
    t.strictSame(texts, ['topic', '', null, long])
    t.ok(reader.bytes()?.equals(batch))
    t.strictSame([reader.bytes()?.length, reader.bytes()], [0, null])
    t.strictSame([reader.array(() => reader.int64()), reader.array(() => 0)], [numbers, []])
    reader.tags()
    t.equal(reader.int8(), 3)
    t.throws(() => reader.int8(), RangeError, 'nothing is left')
    t.end()
  })

  t.test(`partitions are written topic by topic in the ${form} form`, (t) => {
    const writer = new Writer(isFlexible)
    const items = [
      { topic: 'b', partition: 1 },
      { topic: 'a', partition: 0 },
      { topic: 'b', partition: 0 },
    ]
    writeTopics(
      writer,
      items,
      (topic) => writer.string(topic),
      ({ partition }) => writer.int32(partition),
    )
    const reader = new Reader(writer.take(), isFlexible)
    const read = readTopics(
      reader,
      () => reader.text(),
      (topic) => ({ topic, partition: reader.int32() }),
    )
    t.strictSame(read, [items[0], items[2], items[1]])
    t.throws(() => reader.int8(), RangeError)
    t.end()
  })
}

t.test('the forms are those of Kafka’s documentation', (t) => {
  const bytes = (isFlexible: boolean) => {
    const writer = new Writer(isFlexible)
    writer
      .string('ab')
      .bytes(Buffer.from([9]))
      .array([5], (n) => writer.int8(n))
      .tags()
    return writer.string('x'.repeat(127)).take().subarray(0, 22).toString('hex')
  }
  t.match(bytes(false), /^00026162000000010900000001050+7f7878/)
  t.match(bytes(true), /^036162020902050080017878/)
  t.end()
})

t.test('fields that are not known are passed over, known ones are read', (t) => {
  // Two tags: 0 with an int32, 300 with 2 bytes.
  const bytes = Buffer.from([2, 0, 4, 0, 0, 1, 0, 0xac, 0x02, 2, 9, 9, 42])
  const skipping = new Reader(bytes, true)
  skipping.tags()
  t.equal(skipping.int8(), 42)
  const seen: unknown[] = []
  new Reader(bytes, true).tags((tag, field) => {
    seen.push(tag === 0 ? field.int32() : tag)
  })
  t.strictSame(seen, [256, 300])
  t.end()
})

t.test('what no number holds exactly, or what is cut off, is an error', (t) => {
  t.throws(() => new Writer(false).int64(2 ** 53), RangeError)
  t.throws(() => new Writer(false).int64(0.5), RangeError)
  const beyond = new Reader(Buffer.from('7fffffffffffffff', 'hex'), false)
  t.throws(() => beyond.int64(), RangeError)
  const cut = new Writer(true).string('a topic').take().subarray(0, 5)
  t.throws(() => new Reader(cut, true).string(), RangeError)
  t.throws(() => new Reader(Buffer.alloc(6, 0xff), true).string(), RangeError)
  t.end()
})

t.test('a code has Kafka’s name, and a new one its number', (t) => {
  t.equal(kafkaErrorName(kafkaErrors.INVALID_PRODUCER_EPOCH), 'INVALID_PRODUCER_EPOCH')
  t.strictSame([kafkaErrorName(-1), kafkaErrorName(999)], ['UNKNOWN_SERVER_ERROR', 'error 999'])
  const codes = Object.values(kafkaErrors)
  t.equal(new Set(codes).size, codes.length)
  t.end()
})
