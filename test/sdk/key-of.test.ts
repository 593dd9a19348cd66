// Keys of several parts: their text comes back as it was, sorts as its parts do, and is one for each key.
import { json, keyed, keyOf, topic } from 'millrace'
import t from 'tap'
import { numbers } from '../host/tables/conformance.js'

const follows = keyOf({ from: 'text', to: 'text' })
const readings = keyOf({ sensor: 'text', at: 'integer' })

t.test('parts are joined, and what would be taken for a joint is not', (t) => {
  for (const [from, to, text] of [
    ['alice', 'bob', 'alice!bob'],
    ['', '', '!'],
    ['a!b', '"', 'a"Qb!"R'],
    ['a b', '\n\0', 'a"Pb!":"0'],
    ['é😀', '/%?#', 'é😀!/%?#'],
  ] as const) {
    t.equal(follows.encode({ from, to }), text)
    t.same(follows.decode(text), { from, to })
  }
  for (const [at, text] of [
    [0, 's!a0'],
    [7, 's!a7'],
    [42, 's!b42'],
    [-1, 's!-p8'],
    [-42, 's!-o57'],
    [Number.MAX_SAFE_INTEGER, 's!p9007199254740991'],
    [Number.MIN_SAFE_INTEGER, 's!-a0992800745259008'],
  ] as const) {
    t.equal(readings.encode({ sensor: 's', at }), text)
    t.same(readings.decode(text), { sensor: 's', at })
  }
  t.end()
})

t.test('keys are in the order of their parts, by the bytes of their text', (t) => {
  const below = numbers(7)
  const alphabet = ['\0', ' ', '!', '"', '#', '-', '0', 'a', 'b', '~', 'é', '\uffff', '😀']
  const word = () =>
    Array.from({ length: below(4) }, () => alphabet[below(alphabet.length)]).join('')
  const integer = () => {
    const size = 10 ** below(16)
    return (below(2) === 0 ? 1 : -1) * Math.floor((below(1_000_000) / 1_000_000) * size)
  }
  const codec = keyOf({ a: 'text', n: 'integer', b: 'text' })
  const compare = (one: Buffer, other: Buffer) => Math.sign(Buffer.compare(one, other))
  let wrong = 0
  for (let n = 0; n < 20_000; n += 1) {
    const [one, other] = [0, 1].map(() => ({ a: word(), n: integer(), b: word() }))
    if (one === undefined || other === undefined) continue
    if (below(2) === 0) other.a = one.a
    if (below(4) === 0) other.n = one.n
    const expected =
      compare(Buffer.from(one.a), Buffer.from(other.a)) ||
      Math.sign(one.n - other.n) ||
      compare(Buffer.from(one.b), Buffer.from(other.b))
    const [first, second] = [codec.encode(one), codec.encode(other)]
    if (compare(Buffer.from(first), Buffer.from(second)) !== expected) wrong += 1
    // As text: −0 is 0.
    if (JSON.stringify(codec.decode(first)) !== JSON.stringify(one)) wrong += 1
  }
  t.equal(wrong, 0)
  t.end()
})

t.test('a prefix is what all keys with these parts begin with', (t) => {
  t.equal(follows.prefix({ from: 'a!' }), 'a"Q!')
  t.equal(follows.prefix({}), '')
  t.equal(follows.prefix({ from: 'a', to: 'b' }), 'a!b')
  t.ok(follows.encode({ from: 'a', to: 'x' }).startsWith(follows.prefix({ from: 'a' })))
  t.notOk(follows.encode({ from: 'ab', to: 'x' }).startsWith(follows.prefix({ from: 'a' })))
  t.throws(() => follows.prefix({ to: 'b' }), /to does not follow/)
  t.throws(() => follows.prefix({ form: 'b' } as never), /form does not follow/)
  t.end()
})

t.test('what is no such key is refused, in both directions', (t) => {
  for (const text of ['', 'a', 'a!b!c', 'a b!c', '"!a', 'a"!b', '"Z!a', 'a!"']) {
    t.throws(() => follows.decode(text), { name: 'SyntaxError' }, JSON.stringify(text))
  }
  for (const part of [
    '',
    '7',
    'a',
    'a07',
    'b7',
    'b07',
    'a-',
    '-',
    '-p',
    '-p9',
    '-p07',
    'a7 ',
    'q1',
    'a1.5',
  ]) {
    t.throws(() => readings.decode(`s!${part}`), { name: 'SyntaxError' }, part)
  }
  for (const [key, message] of [
    [{ sensor: 's' }, /at is a safe integer, not undefined/],
    [{ sensor: 's', at: 1.5 }, /number 1.5/],
    [{ sensor: 7, at: 1 }, /sensor is a text, not number 7/],
    [{ sensor: '\ud800', at: 1 }, /surrogate/],
    ['s!a1', /sensor, at is needed, not string/],
    [null, /not object null/],
  ] as const) {
    t.throws(() => readings.encode(key as never), { name: 'TypeError', message })
  }
  for (const parts of [{}, { a: 'number' }, { 7: 'text' }]) {
    t.throws(() => keyOf(parts as never), { name: 'TypeError', message: /in their order/ })
  }
  t.end()
})

t.test('keyed keeps what the codec is, and where its stream lies', (t) => {
  const plain = json<{ count: number }>()
  const made = keyed(follows, plain)
  t.equal(made.kind, 'json')
  t.equal(made.encodeText({ count: 1 }), '{"count":1}')
  t.equal(made.keys, follows)
  const placed = keyed(follows, topic('shop.follows', plain))
  t.match(Reflect.get(placed, Symbol.for('millrace.topic')), { name: 'shop.follows' })
  t.throws(() => topic('shop.follows', made), /keyed goes around it/)
  t.throws(() => keyed({ encode: String } as never, plain), { name: 'TypeError' })
  class Celsius {
    readonly #unit = 'C'
    encode = (value: number) => Buffer.from(`${value}${this.#unit}`)
    decode(bytes: Uint8Array) {
      return Number.parseFloat(`${Buffer.from(bytes)}${this.#unit}`)
    }
  }
  const own = keyed(follows, new Celsius())
  t.equal(own.decode(own.encode(21.5)), 21.5)
  t.end()
})
