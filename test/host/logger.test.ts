// Logger and lifecycle: what comes out, and in which order things stop.
import t from 'tap'
import { Stack } from '#host/lifecycle.js'
import { coloredMessage, createLogger, type LoggerOptions } from '#host/logger.js'

function capture(options: Pick<LoggerOptions, 'level' | 'format'>) {
  const written: string[] = []
  return {
    written,
    logger: createLogger({ ...options, stream: { write: (text) => written.push(text) } }),
  }
}

t.test('JSON lines have level, time, message and fields, errors with code and stack', (t) => {
  const { written, logger } = capture({ level: 'info', format: 'json' })
  const child = logger.child({ function: 'counts' })
  child.info('listening', { url: 'http://x' })
  child.error('bad', { error: Object.assign(new Error('why'), { code: 'X' }) })
  logger.warn('plain')
  t.match(
    written.map((line): unknown => JSON.parse(line)),
    [
      {
        level: 'info',
        time: /^\d{4}-\d\d-\d\dT/,
        function: 'counts',
        url: 'http://x',
        msg: 'listening',
      },
      {
        level: 'error',
        function: 'counts',
        error: { message: 'why', code: 'X', stack: /logger\.test/ },
      },
      { level: 'warn', msg: 'plain' },
    ],
  )
  t.notMatch(written[2], /counts/, 'the parent has no field of the child')
  t.end()
})

t.test('what is below the level is not written', (t) => {
  const { written, logger } = capture({ level: 'warn', format: 'json' })
  logger.debug('a')
  logger.info('b')
  logger.warn('c')
  t.equal(written.length, 1)
  const silent = capture({ level: 'silent', format: 'json' })
  silent.logger.error('x')
  t.same(silent.written, [])
  t.end()
})

t.test('pretty is for people', (t) => {
  const { written, logger } = capture({ level: 'info', format: 'pretty' })
  logger.info('listening', { url: 'http://x' })
  t.match(written.join(''), /INFO.*: listening[\s\S]*url: "http:\/\/x"/)
  logger.info('shared out', { partitions: [2, 3], kept: [] })
  t.match(written.join(''), /shared out\n +partitions: \[2, 3\]\n +kept: \[\]\n/)
  t.end()
})

t.test(
  'of a message of several lines only the first is coloured, and the line that is meant is marked',
  (t) => {
    const msg = 'halted\n/a.ts:2:1\n  1 | a\n> 2 | b\n    | ^'
    t.equal(
      coloredMessage({ msg }, 'msg'),
      'halted\u001b[0m\n/a.ts:2:1\n  1 | a\n\u001b[1m> 2 | b\u001b[0m\n\u001b[31m    | ^\u001b[0m',
    )
    t.equal(coloredMessage({ msg: 'running' }, 'msg'), 'running')
    t.end()
  },
)

t.test('a stack disposes in the reverse order, once, and goes on after errors', async (t) => {
  const order: string[] = []
  const stack = new Stack()
  const named = (name: string, error?: Error) => ({
    name,
    async [Symbol.asyncDispose]() {
      await Promise.resolve()
      order.push(name)
      if (error !== undefined) throw error
    },
  })
  t.equal(stack.use(named('first')).name, 'first')
  const error = new Error('second')
  stack.use(named('second', error))
  stack.use({ [Symbol.dispose]: () => void order.push('sync') })
  stack.defer(() => void order.push('deferred'))
  await t.rejects(stack[Symbol.asyncDispose](), error)
  await t.rejects(stack[Symbol.asyncDispose](), error, 'the second call gives the same')
  t.same(order, ['deferred', 'sync', 'second', 'first'])
  t.throws(() => stack.defer(() => {}), TypeError)
})

t.test('several errors come together', async (t) => {
  const stack = new Stack()
  for (const name of ['a', 'b']) {
    stack.defer(() => {
      throw new Error(name)
    })
  }
  await t.rejects(stack[Symbol.asyncDispose](), { errors: [{ message: 'b' }, { message: 'a' }] })
})
