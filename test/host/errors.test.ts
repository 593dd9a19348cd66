// HostError: what crosses a thread comes back as it was.
import t from 'tap'
import { asHostError, fromPlainError, HostError, toPlainError } from '#host/errors.js'

t.test('an error survives the way through structured clone', async (t) => {
  const error = new HostError('BAD_LINE', 'line 3 is no JSON', {
    stream: 'clicks',
    offset: 7,
    details: { line: 3 },
    cause: new SyntaxError('unexpected }'),
  })
  const back = fromPlainError(structuredClone(toPlainError(error)))
  t.match(back, { code: 'BAD_LINE', status: 400, retryable: false, stream: 'clicks', offset: 7 })
  t.same(back.details, { line: 3 })
  t.equal(back.stack, error.stack)
  t.match(back.cause, { message: 'unexpected }' })
})

t.test('whatever was thrown becomes an error with a message', async (t) => {
  t.match(toPlainError('no').message, /no error was thrown: no/)
  t.equal(toPlainError({ message: 'from another realm' }).message, 'from another realm')
  t.match(asHostError(new TypeError('x is not a function')), {
    code: 'INTERNAL',
    message: 'x is not a function',
  })
  t.equal(asHostError(new HostError('FENCED', 'm')).code, 'FENCED')
})

t.test('nothing that user code throws makes the packing throw', async (t) => {
  const circular: Error & { cause?: unknown } = new Error('round')
  circular.cause = circular
  const hostile = {
    get message(): string {
      throw new Error('no message for you')
    },
  }
  for (const thrown of [
    circular,
    hostile,
    Object.create(null),
    { message: Symbol('s') },
    null,
    undefined,
    7n,
  ]) {
    t.type(toPlainError(thrown).message, 'string')
    t.type(asHostError(thrown).message, 'string')
    structuredClone(toPlainError(thrown))
  }
  t.equal(toPlainError(circular).cause?.message, 'round')
})
