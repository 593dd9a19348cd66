// `ctx.log`: whatever is handed to it becomes one line.
import t from 'tap'
import { userLog } from '#host/processor/user-log.js'

t.test('takes the message first, or the fields as pino does, and what is neither', (t) => {
  const lines: unknown[] = []
  const { info, warn } = userLog((level, message, fields) => {
    lines.push([level, message, fields])
  })
  const error = new TypeError('why')
  warn('a message', { page: '/' })
  for (const values of [
    ['alone'],
    [{ page: '/' }, 'behind'],
    ['two', 'texts'],
    [error],
    [[1], 'x'],
  ]) {
    Reflect.apply(info, undefined, values)
  }
  t.strictSame(lines, [
    ['warn', 'a message', { page: '/' }],
    ['info', 'alone', {}],
    ['info', 'behind', { page: '/' }],
    ['info', 'two', { value: 'texts' }],
    ['info', 'why', { error }],
    ['info', 'x', { value: [1] }],
  ])
  t.end()
})
