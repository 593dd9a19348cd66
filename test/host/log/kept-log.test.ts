// The log that the main thread keeps: closed by all and opened anew after the disk has refused a write, and refused while it is full.
import t from 'tap'
import { HostError } from '#host/errors.js'
import { DiskSpace, type Room } from '#host/log/embedded/disk-space.js'
import { KeptLog } from '#host/log/embedded/kept-log.js'
import type { EmbeddedLogOptions } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import { createMemoryLog } from '#host/log/memory/log.js'
import { createLogger } from '#host/logger.js'
import { until } from '../../support/until.js'

const logger = createLogger({ level: 'silent', format: 'json' })
const full = () =>
  new Error('the log has failed', { cause: new Error('IO error: x.log: No space left on device') })

/** Opens a log in memory each time, unless it is told to fail; notes what happens. */
function world() {
  const steps: string[] = []
  let failures: Error[] = []
  let opened: EmbeddedLogOptions | undefined
  const failed: HostError[] = []
  return {
    steps,
    failed,
    failNext: (...errors: Error[]) => {
      failures = errors
    },
    fail: (error: Error) =>
      opened?.onFailure(new HostError('LOG_FAILED', error.message, { cause: error.cause })),
    disk: (problem: HostError | undefined) => opened?.onDisk?.(problem),
    options: {
      path: 'nowhere',
      logger,
      onFailure: (error: HostError) => void failed.push(error),
      async open(options: EmbeddedLogOptions): Promise<Log> {
        const failure = failures.shift()
        if (failure !== undefined) {
          steps.push('refused')
          throw failure
        }
        opened = options
        steps.push('opened')
        const log = createMemoryLog()
        const dispose = log[Symbol.asyncDispose].bind(log)
        return Object.assign(log, {
          async [Symbol.asyncDispose]() {
            steps.push('closed')
            await dispose()
          },
        })
      },
    },
    users: {
      async releaseLog() {
        steps.push('released')
        await new Promise((resolve) => setImmediate(resolve))
        steps.push('no user left')
      },
      reclaimLog: () => void steps.push('reclaimed'),
    },
  }
}

const topic = { name: 'a', kind: 'stream', partitions: 1 } as const

t.test(
  'after a write that the disk refused all users let go before it is closed, and it is opened when there is room',
  async (t) => {
    const w = world()
    const log = await KeptLog.open(w.options)
    log.users = w.users
    await log.ensure([topic])
    t.equal(log.problem(), undefined)
    w.failNext(full(), full())
    w.fail(full())
    t.match(log.problem(), { code: 'DISK_FULL', retryable: true })
    await t.rejects(log.append([]), {
      code: 'DISK_FULL',
      message: /nothing was written; make room/,
    })
    t.throws(() => log.share(), { code: 'DISK_FULL' })
    await until('it is open again', () => log.problem() === undefined)
    t.same(w.steps, [
      'opened',
      'released',
      'no user left',
      'closed',
      'refused',
      'refused',
      'opened',
      'reclaimed',
    ])
    await log.ensure([topic])
    await log[Symbol.asyncDispose]()
    t.equal(w.steps.at(-1), 'closed')
    t.same(w.failed, [])
  },
)

t.test(
  'a disk that refuses for another reason is waited for, too; any other failure ends the host',
  async (t) => {
    const w = world()
    const log = await KeptLog.open(w.options)
    log.users = w.users
    w.fail(
      new Error('x.log: Input/output error', {
        cause: new Error('IO error: x.log: Input/output error'),
      }),
    )
    t.match(log.problem(), {
      code: 'LOG_FAILED',
      message: /Input\/output error.*goes on by itself/,
    })
    await until('it is open again', () => log.problem() === undefined)
    w.fail(new Error('its thread ended with code 1'))
    t.match(w.failed, [{ code: 'LOG_FAILED', message: /thread ended/ }])
    await log[Symbol.asyncDispose]()
  },
)

t.test('a log that fails as soon as it is open is left alone for a while, each time', async (t) => {
  const w = world()
  const log = await KeptLog.open(w.options)
  log.users = w.users
  for (let round = 0; round < 3; round += 1) {
    w.steps.length = 0
    w.fail(full())
    await until('it is closed', () => w.steps.includes('closed'))
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    t.notOk(w.steps.includes('opened'), 'it is not open again at once')
    await until('it is open again', () => w.steps.includes('reclaimed'))
  }
  await log[Symbol.asyncDispose]()
})

t.test('what cannot be opened anew ends the host', async (t) => {
  const w = world()
  const log = await KeptLog.open(w.options)
  log.users = w.users
  w.failNext(new HostError('LOG_DAMAGED', 'of 000003.log, it is gone'))
  w.fail(full())
  await until('it has failed', () => w.failed.length > 0)
  t.match(w.failed, [{ code: 'LOG_DAMAGED' }])
  await log[Symbol.asyncDispose]()
})

t.test('a stop does not wait for room, before the start nor after', async (t) => {
  const w = world()
  w.failNext(...Array.from({ length: 99 }, full))
  const stop = new AbortController()
  const starting = KeptLog.open({ ...w.options, signal: stop.signal })
  await until('it waits', () => w.steps.length > 1)
  const reason = new HostError('STOPPING', 'stop')
  stop.abort(reason)
  await t.rejects(starting, { code: 'STOPPING' })

  w.failNext()
  const log = await KeptLog.open(w.options)
  log.users = w.users
  w.failNext(...Array.from({ length: 99 }, full))
  w.fail(full())
  const before = w.steps.length
  await until('it waits', () => w.steps.length > before + 4)
  await log[Symbol.asyncDispose]()
  await t.rejects(log.describe([]), { code: 'LOG_CLOSED' })
  t.same(w.failed, [])
})

t.test('a start is refused for what room does not mend', async (t) => {
  const w = world()
  w.failNext(new HostError('DATA_NOT_WRITABLE', 'no rights'))
  await t.rejects(KeptLog.open(w.options), { code: 'DATA_NOT_WRITABLE' })
})

t.test('what is told of the disk is the problem, until there is room', async (t) => {
  const w = world()
  const log = await KeptLog.open(w.options)
  w.disk(new HostError('DISK_FULL', 'almost'))
  t.match(log.problem(), { code: 'DISK_FULL' })
  w.disk(undefined)
  t.equal(log.problem(), undefined)
  await log[Symbol.asyncDispose]()
})

t.test('the disk is looked at seldom, and after much was written', (t) => {
  let now = 0
  let looks = 0
  const room: { freeBytes: number; totalBytes: number } = { freeBytes: 200, totalBytes: 10_000 }
  const told: boolean[] = []
  const space = (minFreeBytes: number, look: () => Room) =>
    new DiskSpace({
      path: 'x',
      minFreeBytes,
      look,
      now: () => now,
      changed: (problem) => void told.push(problem !== undefined),
    })
  using disk = space(100, () => {
    looks += 1
    return room
  })
  for (let n = 0; n < 50; n += 1) t.equal(disk.refuse(1000), undefined)
  t.equal(looks, 1)
  room.freeBytes = 99
  t.equal(disk.refuse(1), undefined, 'not seen yet')
  now += 100
  t.match(disk.refuse(1), { code: 'DISK_FULL', message: /99 bytes left, 100 are kept free/ })
  room.freeBytes = 100
  t.match(disk.refuse(8 * 1024 * 1024), undefined)
  t.same(told, [true, false])
  room.totalBytes = 500
  room.freeBytes = 51
  now += 100
  t.equal(disk.refuse(1), undefined, 'of a small disk a tenth is enough')
  using never = space(0, () => {
    throw new Error('looked')
  })
  t.equal(never.refuse(1), undefined)
  using blind = space(100, () => {
    throw new Error('EACCES')
  })
  t.equal(blind.refuse(1), undefined, 'nobody can tell')
  t.end()
})
