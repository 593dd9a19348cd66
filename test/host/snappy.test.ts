// Undoing Snappy: each kind of element at its limits, and nothing but a RangeError for what is none of it.
import t from 'tap'
import { Random } from '#host/log/memory/random.js'
import { unsnap } from '#host/snappy.js'

const varint = (length: number): number[] =>
  length < 128 ? [length] : [(length & 127) | 128, ...varint(length >>> 7)]

/** Packs at random: what is already there is copied by any of the kinds, the rest is literal. */
function pack(random: Random, plain: Buffer): Buffer {
  const packed = varint(plain.length)
  for (let at = 0; at < plain.length; ) {
    const back = random.upTo(Math.min(Math.max(at, 1), 70_000))
    const most = random.upTo(64)
    let same = 0
    while (same < most && at + same < plain.length && plain[at + same] === plain[at + same - back])
      same++
    if (at >= back && same > 0) {
      if (same >= 4 && same <= 11 && back < 2048) {
        packed.push(((back >> 8) << 5) | ((same - 4) << 2) | 1, back & 255)
      } else if (back < 65_536 && random.happens(0.5)) {
        packed.push(((same - 1) << 2) | 2, back & 255, back >> 8)
      } else {
        packed.push(((same - 1) << 2) | 3, back & 255, (back >> 8) & 255, back >> 16, 0)
      }
      at += same
      continue
    }
    const count = Math.min(random.upTo(random.happens(0.1) ? 70_000 : 100), plain.length - at)
    const bytes = count <= 60 ? 0 : count <= 256 ? 1 : count <= 65_536 ? 2 : 3
    packed.push((bytes === 0 ? count - 1 : 59 + bytes) << 2)
    for (let i = 0; i < bytes; i++) packed.push(((count - 1) >> (8 * i)) & 255)
    for (const byte of plain.subarray(at, at + count)) packed.push(byte)
    at += count
  }
  return Buffer.from(packed)
}

for (let seed = 1; seed <= 10; seed++) {
  void t.test(`undoes what was packed in any way (seed ${seed})`, async (t) => {
    const random = new Random(seed)
    const letters = random.upTo(4)
    const plain = Buffer.from(
      Array.from({ length: random.upTo(150_000) }, () => random.upTo(letters)),
    )
    const packed = pack(random, plain)
    t.ok(unsnap(packed).equals(plain))
    for (let run = 0; run < 200; run++) {
      const wrong = Buffer.from(packed.subarray(0, random.upTo(Math.min(packed.length, 3000))))
      wrong[random.upTo(wrong.length) - 1] = random.upTo(256) - 1
      try {
        unsnap(wrong)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    }
    t.throws(() => unsnap(packed.subarray(0, -1)), RangeError)
  })
}

void t.test('undoes the simplest, and refuses what is none', async (t) => {
  t.equal(String(unsnap(Buffer.from('0b2868656c6c6f20776f726c64', 'hex'))), 'hello world')
  // "ab", then a copy of eight from two back.
  t.equal(String(unsnap(Buffer.from('0a0461621102', 'hex'))), 'ababababab')
  for (const wrong of ['0b28', '0a0461621109', 'ffffffffff01', '050461621102', '']) {
    t.throws(() => unsnap(Buffer.from(wrong, 'hex')), { name: 'RangeError' }, wrong)
  }
})
