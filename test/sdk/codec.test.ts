// Codecs: what is written is read back, and what is refused is refused with words that help.
import { type } from 'arktype'
import { bytes, int64, JsonSyntaxError, json, string, ValidationError } from 'millrace'
import t, { type Test } from 'tap'
import * as v from 'valibot'
import { z } from 'zod'

function refusal(t: Test, work: () => unknown): ValidationError {
  try {
    work()
  } catch (error) {
    if (error instanceof ValidationError) return error
    throw error
  }
  t.fail('nothing was refused')
  throw new Error('nothing was refused')
}

void t.test('json writes and reads what JSON can hold', async (t) => {
  const codec = json<unknown>()
  for (const value of [null, 0, -1.5, '', 'ä\u2028"', [], [1, [2]], { a: { b: null } }, true]) {
    t.same(codec.decode(codec.encode(value)), value)
    t.same(codec.decodeText(codec.encodeText(value)), value)
  }
  t.equal(codec.kind, 'json')
  t.same([...codec.encode('ä')], [0x22, 0xc3, 0xa4, 0x22])
})

void t.test('json refuses what JSON cannot hold', async (t) => {
  const codec = json<unknown>()
  t.throws(() => codec.encode(undefined), {
    name: 'TypeError',
    message: /undefined cannot be written/,
  })
  t.throws(() => codec.encode(() => 1), { name: 'TypeError', message: /a function cannot/ })
  t.throws(() => codec.encode(Symbol('s')), { name: 'TypeError', message: /a symbol cannot/ })
  t.throws(() => codec.encode({ deep: [1n] }), { name: 'TypeError', message: /BigInt/ })
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  t.throws(() => codec.encode(cycle), { name: 'TypeError', message: /circular/i })
  t.throws(() => codec.decode(Uint8Array.of(0x22, 0xff, 0x22)), {
    name: 'TypeError',
    message: /UTF-8/,
  })
})

void t.test('broken JSON is refused with the place at which it breaks', async (t) => {
  const broken: [text: string, position: number][] = [
    ['', 0],
    ['  ', 2],
    ['{"page":}', 8],
    ['{"page":1', 9],
    ['{"page" 1}', 8],
    ['{page:1}', 1],
    ['{"a":1,}', 7],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['[]]', 2],
    ['{]', 1],
    ['[}', 1],
    ['1 2', 2],
    ['01', 1],
    ['-', 1],
    ['-x', 1],
    ['1.', 2],
    ['1e+', 3],
    ['+1', 0],
    ['nul', 3],
    ['nulL', 3],
    ['trueish', 4],
    ['"abc', 4],
    ['"a\nb"', 2],
    ['"\\x"', 2],
    ['"\\u12g4"', 5],
    ["{'a':1}", 1],
    ['{"a":"\\', 7],
    ['[[[{"a":[1,2,{"b":tru}]}]]]', 21],
    ['undefined', 0],
  ]
  for (const [text, position] of broken) {
    t.throws(() => JSON.parse(text), `${text} is broken`)
    t.throws(() => json().decodeText(text), { name: 'JsonSyntaxError', position }, text)
  }
  try {
    json().decodeText('{\n  "a": 1,\n  b: 2\n}')
    t.fail('it was accepted')
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error
    t.match(error, { position: 14, line: 3, column: 3 })
    t.ok(error instanceof SyntaxError)
    t.match(error.message, /unexpected "b" at position 14 \(line 3, column 3\)/)
  }
})

void t.test(
  'text of any kind has a place at which it breaks exactly if JSON.parse refuses it',
  async (t) => {
    const alphabet = [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      'u',
      '1',
      '0',
      '.',
      'e',
      '-',
      ' ',
      'true',
      'null',
      '"a"',
      '\n',
    ]
    let seed = 7
    const next = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    let refused = 0
    for (let n = 0; n < 20_000; n++) {
      const text = Array.from(
        { length: 1 + next(8) },
        () => alphabet[next(alphabet.length)] ?? '',
      ).join('')
      try {
        JSON.parse(text)
        continue
      } catch {
        refused++
      }
      const { position } = new JsonSyntaxError(text)
      if (position === 0) continue
      // Up to there it could have become JSON: nothing before the place is what is wrong.
      const before = new JsonSyntaxError(`${text.slice(0, position)}\u0001`)
      if (before.position !== position)
        t.fail(`${JSON.stringify(text)}: ${position}, then ${before.position}`)
    }
    t.ok(refused > 10_000)
  },
)

const schemas = {
  zod: json(z.object({ items: z.array(z.object({ page: z.string() })), n: z.number().default(1) })),
  valibot: json(
    v.object({ items: v.array(v.object({ page: v.string() })), n: v.optional(v.number(), 1) }),
  ),
  arktype: json(type({ items: type({ page: 'string' }).array(), n: 'number = 1' })),
}

for (const [library, codec] of Object.entries(schemas)) {
  void t.test(`a schema of ${library} validates both ways and names the path`, async (t) => {
    t.equal(codec.kind, 'schema')
    const good = { items: [{ page: '/' }] }
    t.equal(
      codec.encodeText(good),
      '{"items":[{"page":"/"}]}',
      'as it was given, without the default',
    )
    t.same(codec.decode(codec.encode(good)), { ...good, n: 1 }, 'with the default')
    const bad = '{"items":[{"page":"/"},{"page":"/"},{"page":7}]}'
    const [issue, ...others] = refusal(t, () => codec.decodeText(bad)).issues
    t.equal(issue?.path, 'items[2].page')
    t.match(issue?.message, /string/)
    t.same(others, [])
    const written = refusal(t, () => codec.encode(JSON.parse(bad)))
    t.equal(written.issues[0]?.path, 'items[2].page')
    t.match(written.message, /items\[2\]\.page: /)
    t.equal(refusal(t, () => codec.decodeText('7')).issues[0]?.path, '', 'the value itself')
    t.throws(() => codec.decodeText('{'), { name: 'JsonSyntaxError' })
  })
}

void t.test('every issue is told, and odd keys are quoted', async (t) => {
  const codec = json(
    z.object({ 'odd key': z.string(), a: z.object({ '0x': z.number() }), ä: z.string() }),
  )
  const { issues } = refusal(t, () => codec.decodeText('{"a":{}}'))
  t.same(issues.map(({ path }) => path).sort(), ['["odd key"]', 'a["0x"]', 'ä'].sort())
})

void t.test('transforms of a schema are applied when reading only', async (t) => {
  const codec = json(z.object({ at: z.string().transform((text) => new Date(text)) }))
  t.equal(codec.encodeText({ at: '2020-01-02' }), '{"at":"2020-01-02"}')
  t.same(codec.decodeText('{"at":"2020-01-02"}'), { at: new Date('2020-01-02') })
})

void t.test('an asynchronous schema is refused, and its rejection hurts nobody', async (t) => {
  const rejecting = {
    version: 1,
    vendor: 'test',
    validate: () => Promise.reject(new Error('later')),
  } as const
  for (const codec of [
    json(z.string().refine(async () => true)),
    json({ '~standard': rejecting }),
  ]) {
    t.throws(() => codec.decodeText('"x"'), { name: 'TypeError', message: /asynchronously/ })
    t.throws(() => codec.encode('x'), { name: 'TypeError', message: /asynchronously/ })
  }
  await new Promise((resolve) => setImmediate(resolve))
})

void t.test('what is no schema is refused when the codec is made', async (t) => {
  for (const wrong of [
    { page: 'string' },
    'string',
    null,
    undefined,
    { '~standard': { version: 2, validate() {} } },
  ]) {
    t.throws(() => Reflect.apply(json, undefined, [wrong]), {
      name: 'TypeError',
      message: /Standard Schema/,
    })
  }
})

void t.test('string keeps text exactly', async (t) => {
  for (const text of ['', 'a', '\ufeffbom', '"quoted"', 'ä😀\0']) {
    t.equal(string.decode(string.encode(text)), text)
    t.equal(string.encodeText(text), text)
  }
  t.throws(() => Reflect.apply(string.encode, string, [7]), {
    name: 'TypeError',
    message: /a number/,
  })
  t.throws(() => Reflect.apply(string.encode, string, [null]), {
    name: 'TypeError',
    message: /null/,
  })
  t.throws(() => string.decode(Uint8Array.of(0xc3)), { name: 'TypeError', message: /no UTF-8/ })
})

void t.test('int64 keeps 64 bits exactly, and nothing beyond', async (t) => {
  const most = 9223372036854775807n
  for (const value of [0n, 1n, -1n, 9007199254740993n, most, -most - 1n]) {
    t.equal(int64.decode(int64.encode(value)), value)
    t.equal(int64.encodeText(value), String(value))
  }
  t.equal(int64.encodeText(-7), '-7')
  t.equal(int64.encodeText(-0), '0')
  t.throws(() => int64.encode(most + 1n), { name: 'RangeError', message: /64 bits/ })
  t.throws(() => int64.encode(-most - 2n), { name: 'RangeError' })
  t.throws(() => int64.decodeText('9223372036854775808'), { name: 'RangeError' })
  t.throws(() => int64.decodeText('9'.repeat(100_000)), { name: 'RangeError' })
  for (const value of [1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    t.throws(() => int64.encode(value), { name: 'TypeError', message: /safe integer/ })
  }
  t.throws(() => Reflect.apply(int64.encode, int64, ['7']), {
    name: 'TypeError',
    message: /a string/,
  })
  for (const text of ['', ' 7', '7 ', '+7', '1e3', '0x7', '7.0', '007', 'seven', '-', '7\n']) {
    t.throws(
      () => int64.decodeText(text),
      { name: 'SyntaxError', message: /no decimal integer/ },
      JSON.stringify(text),
    )
  }
})

void t.test('bytes stay as they are', async (t) => {
  const raw = Uint8Array.of(0, 255, 7)
  t.equal(bytes.encode(raw), raw)
  t.equal(bytes.decode(raw), raw)
  t.equal(bytes.kind, 'bytes')
  t.throws(() => Reflect.apply(bytes.encode, bytes, ['text']), {
    name: 'TypeError',
    message: /a string/,
  })
})
