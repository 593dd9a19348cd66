// Frames of LZ4 as clients write them: of any size, with checksums or without, of blocks that stand alone or not.
import * as lz4 from 'lz4-napi'
import t from 'tap'
import { unpackFrame } from '#host/log/kafka/lz4-frame.js'
import { Random } from '#host/log/memory/random.js'

for (let seed = 1; seed <= 6; seed++) {
  void t.test(`a frame becomes what it was made of (seed ${seed})`, async (t) => {
    const random = new Random(seed)
    for (const size of [0, 1, 20, 65_536, 65_537, random.upTo(1_000_000)]) {
      const noise = Buffer.from(Array.from({ length: size }, () => random.upTo(256) - 1))
      const plain = Buffer.from(noise.map((byte, at) => (at % 200_000 < 100_000 ? byte : at % 26)))
      const options = { blockChecksums: random.happens(0.5), contentChecksum: random.happens(0.5) }
      const frame = lz4.compressFrameSync(plain, options)
      t.ok(unpackFrame(frame, lz4).equals(plain), `${size} bytes`)
    }
  })
}

void t.test('a block may copy from the one before, if the frame says so', async (t) => {
  const head = '04224d184040c0'
  const blocks = '0900000080616263646566676809000000040800503132333435'
  const frame = Buffer.from(`${head}${blocks}00000000`, 'hex')
  t.equal(String(unpackFrame(frame, lz4)), 'abcdefghabcdefgh12345')
})

void t.test('what is cut off, or is no frame, is refused', async (t) => {
  const frame = lz4.compressFrameSync(Buffer.from('click '.repeat(1000)))
  for (let length = 0; length < frame.length; length++) {
    t.throws(() => unpackFrame(frame.subarray(0, length), lz4), `${length} bytes`)
  }
  t.throws(() => unpackFrame(Buffer.from('click '.repeat(1000)), lz4))
})
