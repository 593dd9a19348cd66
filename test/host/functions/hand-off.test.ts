// A function's thread while its group is shared out anew: it stays with what is kept, whatever befalls it in between.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { Condition } from '#host/functions/condition.js'
import { HandOff } from '#host/functions/hand-off.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { Registry } from '#host/functions/registry.js'
import type { JoinOptions } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import { settlesWithin } from '#host/within.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registryOptions } from './project.js'

/** Says of each click how many its thread has handled; goes on for ever, dies, or is slow, as it is told. */
const counter = (flags: string, step = 1, more = '') => `
import { existsSync, writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { defineProcessor, json } from 'millrace'
const isProbe = workerData?.edges === undefined
const has = (name: string) => existsSync(${JSON.stringify(flags)} + name)
let handled = 0
const timer = setInterval(() => {
  if (isProbe) return
  writeFileSync(${JSON.stringify(flags)} + 'loaded', '')
  if (!has('die')) return
  clearInterval(timer)
  throw new Error('in a timer')
}, 2)
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<{ count: number; handled: number }>(),${more}
  on: {
    clicks(ctx, click) {
      handled += 1
      if (click === 'hang' && has('hang')) {
        writeFileSync(${JSON.stringify(flags)} + 'hangs', '')
        for (;;) {}
      }
      ctx.set({ count: (ctx.get()?.count ?? 0) + ${step}, handled })
    },
  },
})`

/** A host of a group that is shared out as the test will have it. `isAwaited`: there are others in it, and it is not assigned any at once. */
async function shared(t: Test, { isAwaited = false, more = '' } = {}) {
  const project = createProject(t)
  const lines: string[] = []
  const stream = { write: (text: string) => void lines.push(text) }
  const logger = createLogger({ level: 'debug', format: 'json', stream })
  const log = await projectLog(t, project)
  let group: JoinOptions | undefined
  let epoch = 0
  let holds = false
  let others = () => {}
  const awaited = new Promise<void>((resolve) => {
    others = resolve
  })
  /** Its code, when it asked to join. */
  let wasLoaded: boolean | undefined
  /** What was there when its partitions had been given up. */
  const left: string[] = []
  const assign = async (partitions: readonly number[], kept: readonly number[] = []) => {
    epoch += 1
    holds = true
    await group?.assigned({ epoch, partitions, kept, standbys: [] })
  }
  const revoke = async () => {
    await group?.revoked(epoch)
    holds = false
  }
  log.join = async (options) => {
    group = options
    if (isAwaited) {
      await options.ready?.()
      wasLoaded = existsSync(`${flags}loaded`)
      await awaited
    }
    await assign(more === '' ? [0, 1] : [0])
    const peer = { address: undefined, partitions: [], standbys: [] }
    const members = ['this', 'other'].map((instance) => ({ instance, ...peer }))
    return {
      members: () => (isAwaited ? members : []),
      holds: () => holds,
      [Symbol.asyncDispose]: async () => {
        if (!holds) return
        await revoke()
        if (!isAwaited) return
        const loaded = `${project.path('flag-')}loaded`
        rmSync(loaded)
        const beats = until('it beats', () => existsSync(loaded))
        left.push((await settlesWithin(beats, 2_000)) ? 'its thread is there' : 'it is not')
      },
    }
  }
  const registry = new Registry({
    ...registryOptions({ project, log, logger }),
    // Its code takes as long as it takes.
    ...(isAwaited ? { drainMs: 60_000 } : {}),
  })
  const catalog = new LiveCatalog(registry, log)
  t.teardown(async () => {
    others()
    await started
    catalog[Symbol.dispose]()
    await registry[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  const flags = project.path('flag-')
  const save = (step = 1) => project.write('functions/counter.ts', counter(flags, step, more))
  await save()
  const started = registry.start({ watch: true })
  if (!isAwaited) await started
  const status = () => catalog.condition('counter')
  const states = () => status()?.partitions.map(({ partition, state }) => `${partition} ${state}`)
  const run = async (...wanted: string[]) =>
    until(`it is ${wanted}`, () => states()?.join() === wanted.join())
  if (!isAwaited) await run('0 running', more === '' ? '1 running' : '1 standby')
  const seen = new Set<string>()
  const watch = catalog.onChange('counter', () => {
    for (const state of states() ?? []) seen.add(state)
  })
  t.teardown(watch)
  const key = Buffer.from('ada')
  let position = 0
  return {
    ...{ project, registry, catalog, lines, states, run, save, assign, revoke, seen },
    ...{ others, left },
    asked: async () => {
      await until('it asks to join', () => wasLoaded !== undefined)
      return wasLoaded
    },
    state: () => status()?.state,
    lose: async () => {
      holds = false
      group?.lost(epoch)
    },
    path: (name: string) => flags + name,
    emit: async (partition: number, click = 'x') => {
      const value = Buffer.from(JSON.stringify(click))
      const [offset = 0] = await log.append([
        { topic: 'clicks', partition, key, value, timestamp: 1 },
      ])
      position = offset + 1
    },
    /** What its table has once the last click is counted. */
    counted: async (partition: number) => {
      await until(
        'it is counted',
        () => catalog.position('counter', 'clicks', partition) >= position,
      )
      const view = catalog.table('counter')?.view
      return JSON.parse(String(await view?.get(partition, key)))
    },
    said: (what: RegExp) => lines.some((line) => what.test(line)),
  }
}

t.test(
  'partitions that are kept go on in the same thread, and are never shown otherwise',
  async (t) => {
    const f = await shared(t)
    await f.emit(0)
    t.same(await f.counted(0), { count: 1, handled: 1 })
    await f.revoke()
    t.equal(f.state(), 'joining')
    t.same(f.states(), ['0 running', '1 running'])
    t.notOk(f.catalog.table('counter')?.isServing(0), 'it is not served meanwhile')
    await f.emit(0)
    await f.assign([0], [0])
    t.same(f.states(), ['0 running'])
    t.equal(f.state(), 'running')
    t.same(await f.counted(0), { count: 2, handled: 2 })
    t.ok(f.catalog.table('counter')?.isServing(0))
    t.notOk(f.catalog.table('counter')?.isServing(1))
    t.same([...f.seen], ['0 running', '1 running'])

    await f.revoke()
    await f.assign([0, 1], [0])
    await f.run('0 running', '1 running')
    t.same([...f.seen], ['0 running', '1 running', '1 recovering'], 'what has come is recovered')
    await f.emit(1)
    t.same(await f.counted(1), { count: 1, handled: 3 })
    t.ok(f.said(/shared out anew/))
  },
)

t.test(
  'a thread that does not come to a boundary is ended, and another opens all of it',
  async (t) => {
    const f = await shared(t)
    writeFileSync(f.path('hang'), '')
    await f.emit(0, 'hang')
    await until('it hangs', () => existsSync(f.path('hangs')))
    await f.revoke()
    t.same(f.states(), [], 'nothing is there to be kept')
    t.ok(f.said(/did not come to a record boundary within 200 ms/))
    rmSync(f.path('hang'))
    await f.assign([0, 1], [0, 1])
    t.same(await f.counted(0), { count: 1, handled: 1 })
    await f.run('0 running', '1 running')
    t.equal(f.state(), 'running')
  },
)

t.test('a thread that dies in between is replaced when its partitions are assigned', async (t) => {
  const f = await shared(t)
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
  await f.revoke()
  writeFileSync(f.path('die'), '')
  await until('it has died', () => f.said(/its thread ended/))
  rmSync(f.path('die'))
  await f.assign([0, 1], [0, 1])
  await f.emit(0)
  t.same(await f.counted(0), { count: 2, handled: 1 })
  await f.run('0 running', '1 running')
})

t.test('what was lost is opened anew, in another thread', async (t) => {
  const f = await shared(t)
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
  await f.lose()
  t.same(f.states(), [])
  await f.assign([0, 1])
  await f.emit(0)
  t.same(await f.counted(0), { count: 2, handled: 1 })
  await f.run('0 running', '1 running')
})

t.test('without partitions there is no thread, until it gets some', async (t) => {
  const f = await shared(t)
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
  await f.revoke()
  await f.assign([])
  t.same(f.states(), [])
  await f.revoke()
  await f.assign([0, 1])
  await f.emit(0)
  t.same(await f.counted(0), { count: 2, handled: 1 })
})

t.test('how far it had come counts again when the partition is open again', async (t) => {
  const f = await shared(t)
  await f.emit(1)
  await f.counted(1)
  const position = () => f.catalog.position('counter', 'clicks', 1)
  t.equal(position(), 1)
  await f.revoke()
  t.equal(position(), 0, 'another may go on with it')
  await f.assign([0], [0])
  t.equal(position(), 0)
  await f.revoke()
  const assigned = f.assign([0, 1], [0])
  t.equal(position(), 0, 'its topic may have been made anew')
  await assigned
  await f.run('0 running', '1 running')
  t.equal(position(), 1)
})

t.test('paused, resumed, saved in between: it holds from the assignment on', async (t) => {
  const f = await shared(t)
  await f.revoke()
  t.ok(await f.registry.operate('counter', 'pause'))
  await f.assign([0, 1], [0, 1])
  t.equal(f.state(), 'paused')
  await f.revoke()
  t.ok(await f.registry.operate('counter', 'resume'))
  await f.save(10)
  await until('it is taken', async () => (await f.catalog.function('counter'))?.swaps === 1)
  await f.emit(0)
  await f.assign([0, 1], [0, 1])
  t.same(await f.counted(0), { count: 10, handled: 1 })
})

t.test('restarted in between it gets another thread', async (t) => {
  const f = await shared(t)
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
  await f.revoke()
  t.ok(await f.registry.operate('counter', 'restart'))
  t.equal(f.state(), 'joining')
  await f.assign([0, 1], [0, 1])
  await f.emit(0)
  t.same(await f.counted(0), { count: 2, handled: 1 })
})

t.test('a file that is deleted in between: the function stops', async (t) => {
  const f = await shared(t)
  await f.revoke()
  rmSync(f.project.path('functions/counter.ts'))
  await until('it is gone', () => f.catalog.condition('counter') === undefined)
  t.notOk(f.said(/did not end well/))
})

t.test('its thread gets ready while others are waited for', async (t) => {
  const f = await shared(t, { isAwaited: true })
  t.equal(await f.asked(), true, 'nobody stands still while its code is loaded')
  t.equal(f.state(), 'joining')
  t.same(f.states(), [])
  await f.emit(0)
  f.others()
  t.same(await f.counted(0), { count: 1, handled: 1 })
  t.notOk(f.said(/its thread/))
})

t.test('one that dies while others are waited for is replaced', async (t) => {
  const f = await shared(t, { isAwaited: true })
  await until('it is loaded', () => existsSync(f.path('loaded')))
  writeFileSync(f.path('die'), '')
  await until('it has died', () => f.said(/its thread ended/))
  rmSync(f.path('die'))
  f.others()
  await f.run('0 running', '1 running')
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
})

t.test('others wait for its last flush alone when it leaves', async (t) => {
  const f = await shared(t, { isAwaited: true })
  f.others()
  await f.run('0 running', '1 running')
  rmSync(f.project.path('functions/counter.ts'))
  await until('it has left', () => f.left.length > 0)
  t.same(f.left, ['its thread is there'])
  t.notOk(f.said(/did not end well|record boundary/))
})

t.test('copies that were assigned while the thread before ends stay', async (t) => {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const handOff = new HandOff({
    thread: { isThere: false, ask: async () => 'absent', tell: () => {}, end: () => ended },
    condition,
    drainMs: 1,
    logger: createLogger({ level: 'silent', format: 'json' }),
    launch: async () => {},
  })
  condition.opened(0, 'running')
  const givenUp = handOff.givenUp()
  const taken = handOff.takenUp({ epoch: 2, partitions: [], kept: [], standbys: [1] })
  t.equal(condition.partition(0), undefined)
  condition.copied(1, 'following')
  end()
  await Promise.all([givenUp, taken])
  t.equal(condition.standby(1), 'following')
  await handOff.givenUp()
  t.equal(condition.standby(1), undefined)
})

t.test('it is not running before there is a thread for what was assigned', async (t) => {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  const seen: unknown[] = []
  const see = () => seen.push([condition.state, condition.partition(0)])
  const handOff = new HandOff({
    thread: {
      isThere: false,
      ask: async () => 'absent',
      tell: () => {},
      end: async () => void see(),
    },
    condition,
    drainMs: 1,
    logger: createLogger({ level: 'silent', format: 'json' }),
    launch: async () => void see(),
  })
  await handOff.takenUp({ epoch: 1, partitions: [0], kept: [], standbys: [] })
  t.same(seen, [
    ['recovering', 'recovering'],
    ['recovering', 'recovering'],
  ])
})

/** With partition 1 copied, which another host has. */
async function replicated(t: Test, store: 'level' | 'memory') {
  const f = await shared(t, { more: `\n  store: '${store}',\n  views: 'replicate',` })
  const isReplica = () => f.catalog.table('counter')?.isReplica(1)
  await until('it is whole', isReplica)
  writeFileSync(f.path('die'), '')
  const deaths = () => f.lines.filter((line) => /its thread ended/.test(line)).length
  await until('it has died', () => deaths() > 0)
  return { isReplica, deaths }
}

t.test('a replica on disk outlives the thread', async (t) => {
  const { isReplica, deaths } = await replicated(t, 'level')
  await until('others have died, too', () => deaths() > 2)
  t.ok(isReplica())
})

t.test('a replica in memory is gone with the thread', async (t) => {
  const { isReplica } = await replicated(t, 'memory')
  await until('there is none', () => isReplica() === false)
  t.pass('the next thread has to copy it first')
})
