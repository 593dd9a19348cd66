// CRC-32C against the sums that its definitions give.
import t from 'tap'
import { crc32c } from '#host/crc32c.js'

void t.test('the checksum is CRC-32C, of any part and length', async (t) => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa, 'RFC 3720, B.4')
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43, 'RFC 3720, B.4')
  t.equal(crc32c(Buffer.alloc(0)), 0)
  const text = Buffer.from(`left ${'123456789'} right`)
  t.equal(crc32c(text, 5, 14), 0xe3069283)
})
