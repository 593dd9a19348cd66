// A function's thread while its group is shared out anew: it stays with what is kept, whatever befalls it in between.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { Condition } from '#host/functions/condition.js'
import { HandOff, type HandOffOptions } from '#host/functions/hand-off.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { Registry } from '#host/functions/registry.js'
import type { JoinOptions } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import type { FunctionVitals } from '#host/supervisor/messages.js'
import { settlesWithin } from '#host/within.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registryOptions } from './project.js'

/** Says of each click how many its thread has handled; starts slowly, goes on for ever, or dies, as it is told. */
const counter = (flags: string, step = 1, more = '') => `
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { defineProcessor, json } from 'millrace'
const isProbe = workerData?.edges === undefined
const has = (name: string) => existsSync(${JSON.stringify(flags)} + name)
let handled = 0
if (!isProbe) {
  appendFileSync(${JSON.stringify(flags)} + 'starts', 'x')
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (has('wait')) {
    Atomics.wait(never, 0, 0, 2)
    if (has('exit')) process.exit(1)
  }
}
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
async function shared(
  t: Test,
  { isAwaited = false, isKeptOut = false, more = '', drainMs = 200 } = {},
) {
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
  let isOut = isKeptOut
  log.join = async (options) => {
    group = options
    if (isOut) throw new HostError('BROKER_UNAVAILABLE', 'nobody answers')
    if (isAwaited) {
      await options.ready?.()
      wasLoaded = existsSync(`${flags}loaded`)
      await awaited
    }
    if (isKeptOut) await assign([])
    else await assign(more === '' ? [0, 1] : [0])
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
  const options = registryOptions({ project, log, logger })
  let told: readonly FunctionVitals[] = []
  const vitals = (all: readonly FunctionVitals[]) => {
    told = all
  }
  const registry = new Registry({
    ...options,
    supervision: { ...options.supervision, vitals },
    // Its code takes as long as it takes.
    drainMs: isAwaited ? 60_000 : drainMs,
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
  if (!isAwaited && !isKeptOut) await run('0 running', more === '' ? '1 running' : '1 standby')
  const seen = new Set<string>()
  const watch = catalog.onChange('counter', () => {
    for (const state of states() ?? []) seen.add(state)
  })
  t.teardown(watch)
  const flag = (name: string) => writeFileSync(flags + name, '')
  const starts = () => readFileSync(`${flags}starts`, 'utf8').length
  /** Its thread is being started, and comes no further. Returns what lets it. */
  const starting = async (partitions: readonly number[]) => {
    await revoke()
    await assign([])
    const before = starts()
    flag('wait')
    await assign(partitions)
    await until('it starts', () => starts() > before)
    return () => rmSync(`${flags}wait`)
  }
  const key = Buffer.from('ada')
  let position = 0
  return {
    ...{ project, registry, catalog, lines, states, run, save, assign, revoke, seen },
    ...{ others, left, flag, starts, starting },
    asked: async () => {
      await until('it asks to join', () => wasLoaded !== undefined)
      return wasLoaded
    },
    state: () => status()?.state,
    hasThread: () => {
      registry.tellVitals()
      return told.some(({ thread }) => thread !== undefined)
    },
    lose: async () => {
      holds = false
      group?.lost(epoch, 'not heard of')
    },
    letIn: () => {
      isOut = false
    },
    fail: () => group?.failed?.(new HostError('BROKER_UNAVAILABLE', 'nobody answers')),
    error: () => status()?.error,
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
    const assigned = f.assign([0, 1], [0])
    t.same(f.states(), ['0 running', '1 recovering'], 'what has come is recovered')
    await assigned
    await f.run('0 running', '1 running')
    t.notOk(f.seen.has('0 recovering'))
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
  t.match(
    f.lines.join(''),
    /may be another's by now.*not heard of/,
    'who looks after it is told why',
  )
  await f.assign([0, 1])
  await f.emit(0)
  t.same(await f.counted(0), { count: 2, handled: 1 })
  await f.run('0 running', '1 running')
})

t.test(
  'what kept it from its group is over when it has joined, though nothing is opened',
  async (t) => {
    const f = await shared(t)
    await f.revoke()
    f.fail()
    t.match(f.error(), { code: 'BROKER_UNAVAILABLE' })
    await f.assign([0, 1], [0, 1])
    t.same([f.state(), f.error()], ['running', null])
  },
)

t.test('so is what kept it from joining at all, though it gets nothing', async (t) => {
  const f = await shared(t, { isKeptOut: true })
  await until('it is told', () => f.error()?.code === 'BROKER_UNAVAILABLE')
  f.letIn()
  await until('it has joined', () => f.state() === 'running')
  t.same([f.states(), f.error()], [[], null])
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

/** Longer than whatever a thread does here takes. */
const patient = { drainMs: 60_000 }

t.test('shared out anew while its thread starts: it opens what it has when it has', async (t) => {
  const f = await shared(t, patient)
  const opened = () =>
    f.lines
      .filter((line) => /its table was brought up/.test(line))
      .map((line) => JSON.parse(line).partition)
  const before = opened().length
  const goOn = await f.starting([0])
  t.same([f.state(), f.states()], ['recovering', ['0 recovering']])
  // Each would wait for a minute were it to wait for the thread.
  await f.revoke()
  t.equal(f.state(), 'joining')
  await f.assign([0, 1], [0])
  t.same([f.state(), f.states()], ['recovering', ['0 recovering', '1 recovering']])
  await f.revoke()
  await f.assign([1], [1])
  t.same([f.state(), f.states()], ['recovering', ['1 recovering']])
  goOn()
  await f.run('1 running')
  t.equal(f.starts(), 2, 'it was not ended for it')
  t.same(opened().slice(before), [1], 'nor has it opened what is over')
  await f.emit(1)
  t.same(await f.counted(1), { count: 1, handled: 1 })
  t.notOk(f.said(/record boundary/))
})

t.test('revoked while it starts, a thread opens nothing before it is told', async (t) => {
  const f = await shared(t, patient)
  const goOn = await f.starting([0, 1])
  await f.revoke()
  f.seen.clear()
  rmSync(f.path('loaded'))
  goOn()
  await until('it is loaded', () => existsSync(f.path('loaded')))
  t.ok(await f.registry.operate('counter', 'pause'), 'what it is told it does')
  t.same([...f.seen], ['0 recovering', '1 recovering'])
  t.ok(await f.registry.operate('counter', 'resume'))
  await f.assign([0], [0, 1])
  await f.run('0 running')
  t.equal(f.starts(), 2)
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
})

t.test('a share that does not come back: the thread that was started for it ends', async (t) => {
  const f = await shared(t, patient)
  const goOn = await f.starting([0, 1])
  await f.revoke()
  await f.assign([])
  t.same(f.states(), [])
  goOn()
  await until('it is gone', () => !f.hasThread())
  await f.revoke()
  await f.assign([0, 1])
  await f.run('0 running', '1 running')
  t.equal(f.starts(), 3)
  t.notOk(f.said(/record boundary/))
})

t.test('a membership that is lost while its thread starts ends nothing', async (t) => {
  const f = await shared(t, patient)
  const goOn = await f.starting([0, 1])
  await f.lose()
  t.same(f.states(), [])
  await f.assign([1])
  t.same([f.state(), f.states()], ['recovering', ['1 recovering']])
  goOn()
  await f.run('1 running')
  t.equal(f.starts(), 2)
})

t.test('a thread that dies while it starts is replaced, wherever its share is', async (t) => {
  const f = await shared(t, patient)
  await f.starting([0, 1])
  const die = async () => {
    const deaths = () => f.lines.filter((line) => /its thread ended/.test(line)).length
    const before = deaths()
    f.flag('exit')
    await until('it has died', () => deaths() > before)
    rmSync(f.path('exit'))
  }
  await f.revoke()
  await die()
  await f.assign([0, 1], [0, 1])
  t.same([f.state(), f.states()], ['recovering', ['0 recovering', '1 recovering']])
  await until('another is started', () => f.starts() > 2)
  await die()
  t.equal(f.state(), 'recovering')
  rmSync(f.path('wait'))
  await f.run('0 running', '1 running')
  await f.emit(0)
  t.same(await f.counted(0), { count: 1, handled: 1 })
})

t.test('paused and saved while its thread starts', async (t) => {
  const f = await shared(t, patient)
  const goOn = await f.starting([0, 1])
  t.ok(await f.registry.operate('counter', 'pause'))
  await f.save(10)
  t.equal(f.state(), 'recovering', 'it is not paused before it is open')
  goOn()
  await until('the save is taken', async () => (await f.catalog.function('counter'))?.swaps === 1)
  await until('it is paused', () => f.state() === 'paused')
  t.ok(await f.registry.operate('counter', 'resume'))
  await f.emit(0)
  t.same(await f.counted(0), { count: 10, handled: 1 })
  t.notOk(f.said(/record boundary|had not started/))
})

t.test('a save does not wait for long for a thread that starts', async (t) => {
  const f = await shared(t)
  const goOn = await f.starting([0, 1])
  await f.save(10)
  await until('it is taken', async () => (await f.catalog.function('counter'))?.swaps === 1)
  t.ok(f.said(/the version before had not started within 200 ms/))
  t.notOk(f.said(/record boundary/), 'it had no record')
  goOn()
  await f.run('0 running', '1 running')
  await f.emit(0)
  t.same(await f.counted(0), { count: 10, handled: 1 })
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

const noThread: HandOffOptions['thread'] = {
  isThere: false,
  isStarting: false,
  ask: async () => 'absent',
  tell: () => {},
  end: async () => {},
}

t.test('copies that were assigned while the thread before ends stay', async (t) => {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const handOff = new HandOff({
    thread: { ...noThread, end: () => ended },
    share: () => ({ partitions: [], standbys: [1] }),
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
    thread: { ...noThread, end: async () => void see() },
    share: () => ({ partitions: [0], standbys: [] }),
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

/** A thread that starts, for which a hand-off tells or ends as it is called. */
function startingThread() {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  const steps: string[] = []
  const thread = {
    ...noThread,
    isThere: true,
    isStarting: true,
    ask: async ({ kind }: { kind: string }) => {
      steps.push(`asked ${kind}`)
      return 'done' as const
    },
    tell: (request: object) => void steps.push(`told ${JSON.stringify(request)}`),
    end: async () => {
      steps.push('ended')
      thread.isThere = false
    },
  }
  let share: { partitions: number[]; standbys: number[] } = { partitions: [], standbys: [] }
  const handOff = new HandOff({
    thread,
    condition,
    drainMs: 1,
    logger: createLogger({ level: 'silent', format: 'json' }),
    share: () => share,
    launch: async () => void steps.push('launched'),
  })
  return {
    handOff,
    condition,
    /** Until it has it as the others do. */
    takenUp: async (partitions: number[], standbys: number[] = []) => {
      share = { partitions, standbys }
      await handOff.takenUp({ epoch: 1, partitions, kept: partitions, standbys })
    },
    revoked: async () => {
      share = { ...share, partitions: [] }
      await handOff.revoked(false)
    },
    givenUp: async (standbys: number[]) => {
      share = { partitions: [], standbys }
      await handOff.givenUp()
    },
    listens: () => {
      thread.isStarting = false
      handOff.listens()
    },
    done: () => steps.splice(0),
  }
}
const assigned = (partitions: number[], standbys: number[] = []) =>
  `told ${JSON.stringify({ kind: 'assign', partitions, kept: [], standbys })}`

t.test('a thread is told when it listens, and what is so by then', async (t) => {
  const f = startingThread()
  await f.takenUp([0], [1])
  await f.revoked()
  await f.takenUp([1], [0])
  t.same([f.done(), f.condition.partition(1)], [[], 'recovering'])
  f.listens()
  t.same(f.done(), [assigned([1], [0])])
  await f.revoked()
  t.same(f.done(), ['asked revoke'], 'it is asked from then on')
})

t.test('while they are shared out it is told nothing, not even of copies', async (t) => {
  const f = startingThread()
  await f.takenUp([0], [1])
  await f.revoked()
  f.listens()
  t.same(f.done(), [])
  await f.takenUp([0], [1])
  t.same([f.done(), f.condition.partition(0)], [['asked assign'], 'recovering'])
})

t.test('with nothing to open it ends when it listens, unless that is still to come', async (t) => {
  const none = startingThread()
  await none.takenUp([])
  none.listens()
  t.same(none.done(), ['ended'])
  const ahead = startingThread()
  ahead.condition.enter('joining')
  ahead.listens()
  t.same(ahead.done(), [])
  await ahead.takenUp([0])
  t.match(ahead.done(), [/^told .*assign/])
})

t.test('no member any more, a thread that starts copies what it is to', async (t) => {
  const f = startingThread()
  await f.takenUp([0], [1])
  await f.revoked()
  await f.givenUp([0, 1])
  t.equal(f.condition.partition(0), undefined)
  f.listens()
  t.same(f.done(), [assigned([], [0, 1])])
})
