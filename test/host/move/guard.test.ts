// Nobody joins a group on a log to which a move is under way, whenever that can be told.
import t, { type Test } from 'tap'
import { loadConfig } from '#host/config.js'
import { HostError } from '#host/errors.js'
import { openKafkaLog } from '#host/log/kafka/log.js'
import type { Log } from '#host/log/log.js'
import { createMemoryLog } from '#host/log/memory/log.js'
import { MoveGuard } from '#host/move/guard.js'
import { kafkaSettings } from '#host/open-log.js'
import { fill, move, sourceLog } from './moving.js'

function targetLog(t: Test): Log {
  const log = createMemoryLog()
  t.teardown(() => log[Symbol.asyncDispose]())
  return log
}

async function begunMove(t: Test): Promise<Log> {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  const stop = new AbortController()
  const phase = (name: string) => {
    if (name === 'positions') stop.abort(new Error('stopped'))
  }
  const events = { phase, moved: () => {}, verified: () => {} }
  await t.rejects(move(source, target, { events, signal: stop.signal }), { message: 'stopped' })
  return target
}

/** A log that cannot be described until `ready` resolves. */
const away = (log: Log, ready: Promise<unknown>): Log =>
  new Proxy(log, {
    get(target, name) {
      if (name === 'describe') {
        return async (names: readonly string[]) => {
          await ready
          return await target.describe(names)
        }
      }
      const found: unknown = Reflect.get(target, name, target)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })

t.test('a log that nothing was moved to, or all, may be used', async (t) => {
  await new MoveGuard('').check(targetLog(t))
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  await move(source, target)
  await new MoveGuard('').checkWithin(target, 10_000)
})

t.test('a log that has a part of another may not, under the namespace of the move', async (t) => {
  const target = await begunMove(t)
  const guard = new MoveGuard('')
  await t.rejects(guard.check(target), { code: 'MOVE_UNFINISHED' })
  await t.rejects(guard.checkWithin(target, 10_000), { code: 'MOVE_UNFINISHED' })
  await new MoveGuard('other.').check(target)
})

t.test('what cannot be told at the start is told to who joins', async (t) => {
  let back = () => {}
  const ready = new Promise<void>((resolve) => {
    back = resolve
  })
  const target = away(await begunMove(t), ready)
  const guard = new MoveGuard('')
  await guard.checkWithin(target, 20)
  const joining = guard.check(target)
  back()
  await t.rejects(joining, { code: 'MOVE_UNFINISHED' })
})

t.test('no topic is made, and no group joined, on a log that may not be used', async (t) => {
  // Nobody is there: what asks it has asked too much.
  const settings = kafkaSettings(loadConfig({ root: '.', flags: { log: 'kafka://127.0.0.1:1' } }))
  const target = await begunMove(t)
  const guard = new MoveGuard('')
  const log = openKafkaLog(settings, { mayUse: () => guard.check(target) })
  t.teardown(() => log[Symbol.asyncDispose]())
  const unfinished = { code: 'MOVE_UNFINISHED' }
  await t.rejects(log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }]), unfinished)
  const joining = log.join({
    group: 'count',
    topics: ['clicks'],
    instance: 'one',
    assigned: async () => {
      t.fail('it was taken in')
    },
    revoked: async () => {},
    lost: () => {},
  })
  await t.rejects(joining, unfinished)
})

t.test('a log that cannot be asked is asked again by the next who joins', async (t) => {
  const gone = Promise.reject(new HostError('BROKER_UNAVAILABLE', 'away'))
  gone.catch(() => {})
  const target = targetLog(t)
  const guard = new MoveGuard('')
  await guard.checkWithin(away(target, gone), 10_000)
  await t.rejects(guard.check(away(target, gone)), { code: 'BROKER_UNAVAILABLE' })
  await guard.check(target)
})
t.end()
