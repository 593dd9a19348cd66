// Resets of a function one after the other, and instances that have missed some of what was said about them: all come to the same end.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Resets } from '#host/control/resets.js'
import { HostError } from '#host/errors.js'
import type { Batch, Log, LogReader } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { Random } from '#host/log/memory/random.js'
import { createLogger } from '#host/logger.js'
import { hold } from '../../support/hold.js'
import { until } from '../../support/until.js'
import { done, instances, instead, resetOf, say, topic } from './instances.js'

const stop = 'stop counter: RECOVERING'
const begin = 'begin counter'
/** Far more than a few instances have to say. */
const manyRecords = 300
/** Nobody leads. */
const takeOverMs = 3_600_000

/** Takes no more than so many words: without an end to them there would be none to the test. */
function limited(): MemoryLog {
  const log = createMemoryLog()
  const append: Log['append'] = async (...of) => {
    await new Promise(setImmediate)
    if (log.records(topic, 0).length < manyRecords) return await log.append(...of)
    throw new HostError('LOG_FAILED', `there are ${manyRecords} words`)
  }
  return new Proxy(log, {
    get(of, property) {
      const value: unknown = property === 'append' ? append : Reflect.get(of, property, of)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
}

type Batches = readonly Batch[]

/** What is read by way of `change`, which may also refuse it. */
const readingBy = (log: Log, change: (read: Batches) => Batches | Promise<Batches>): Log =>
  instead(log, {
    reader(options): LogReader {
      const reader = log.reader(options)
      const next = reader.next.bind(reader)
      reader.next = async () => await change(await next())
      return reader
    },
  })

const wordsOf = (log: MemoryLog) =>
  log.records(topic, 0).map((record) => JSON.parse(record.valueText()))

/** Of the resets, in order. */
const resetsOf = (log: MemoryLog) =>
  wordsOf(log)
    .filter(({ kind }) => kind === 'reset')
    .map(({ id, phase }) => `${id} ${phase}`)

/** All that had been said is read by each. */
async function allRead(all: readonly ReturnType<ReturnType<typeof instances>['start']>[]) {
  await Promise.all(all.map(({ control }) => control.operate('counter', 'resume')))
}

for (const isCompacted of [false, true]) {
  const left = isCompacted ? 'the last word alone' : 'all words'
  t.test(`one that missed a reset's end, and another reset, and finds ${left}`, async (t) => {
    const { start, log } = instances(t, limited())
    let isCut = false
    const check = () => {
      if (isCut) throw new HostError('BROKER_UNAVAILABLE', 'cut off')
    }
    const cut = instead(
      readingBy(log, (batches) => {
        check()
        return batches
      }),
      {
        async ensure(specs) {
          check()
          await log.ensure(specs)
        },
      },
    )
    const others = ['one', 'two'].map((name) => start(name, { takeOverMs }))
    const away = start('away', { log: cut, takeOverMs })
    const all = [...others, away]
    await Promise.all(all.map(({ control }) => control.ready()))
    await say(log, resetOf('first', 'stop'))
    for (const each of all) await done(each, stop)
    isCut = true
    await say(log, resetOf('first', 'go'))
    await say(log, resetOf('second', 'stop'))
    await say(log, resetOf('second', 'go'))
    await until('the others have begun anew twice', () =>
      others.every(({ steps }) => steps.filter((step) => step === begin).length === 2),
    )
    if (isCompacted) log.trim(topic, 0, log.end(topic, 0) - 1)
    isCut = false
    await until(
      'it has begun anew, too',
      () => away.steps.includes(begin) || log.records(topic, 0).length === manyRecords,
    )
    t.same(away.steps.slice(1), [stop, begin], 'what ended before is done once')
    await allRead(all)
    t.equal(resetsOf(log).at(-1), 'second go')
    t.ok(resetsOf(log).length <= 4, 'nobody has had to say it again')
  })
}

t.test('one that finds the last reset alone knows an older word', async (t) => {
  const { start, log } = instances(t, limited())
  const one = start('one', { takeOverMs })
  await one.control.ready()
  for (const id of ['first', 'second'] as const) {
    await say(log, resetOf(id, 'stop'))
    await say(log, resetOf(id, 'go'))
  }
  await allRead([one])
  log.trim(topic, 0, 3)
  const removed: unknown[] = []
  const remove: Log['remove'] = async (...of) => void removed.push(of)
  const fresh = start('fresh', { log: instead(log, { remove }), takeOverMs: 0 })
  await fresh.control.ready()
  for (const phase of ['stop', 'go'] as const) {
    const before = resetsOf(log).length
    await say(log, resetOf('first', phase))
    await until('it is put right', () => {
      const said = resetsOf(log)
      return said.length > before + 1 && said.at(-1) === 'second go'
    })
  }
  await allRead([one, fresh])
  t.same(
    fresh.steps.filter((step) => step !== 'resume counter'),
    ['was reset: 0 topics', 'ready, paused: false'],
  )
  t.same(removed, [], 'no positions are deleted of a group that has begun anew')
  t.ok(resetsOf(log).length < 12)
})

t.test(
  'one that starts behind a late word puts it right, should nobody else be there',
  async (t) => {
    const { start, log } = instances(t, limited())
    await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
    await say(log, resetOf('first', 'stop'))
    await say(log, resetOf('second', 'go'))
    await say(log, resetOf('first', 'stop'))
    const one = start('one', { takeOverMs })
    await one.control.ready()
    t.same(one.steps[0], 'was reset: 0 topics')
    await until('it is put right', () => resetsOf(log).at(-1) === 'second go')
    t.notOk(one.steps.includes(stop))
  },
)

t.test('one that may not write to the topic starts all the same', async (t) => {
  const { start, log } = instances(t, limited())
  await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
  await say(log, resetOf('second', 'go'))
  await say(log, resetOf('first', 'stop'))
  const append: Log['append'] = async () => {
    throw new HostError('BROKER_REFUSED', 'lacks the right Write')
  }
  const one = start('one', { log: instead(log, { append }), takeOverMs })
  await one.control.ready()
  t.same(one.steps, ['was reset: 0 topics', 'ready, paused: false'])
})

t.test('whatever each of several has missed, they come to one end, and fall silent', async (t) => {
  const ids = ['zeroth', 'first', 'second', 'third'] as const
  const all = ids.flatMap((id) => [resetOf(id, 'stop'), resetOf(id, 'go')])
  for (let seed = 1; seed <= 12; seed += 1) {
    const { start, log } = instances(t, limited())
    const random = new Random(seed)
    const chance = (of: number) => random.next() < of
    await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
    for (const wish of all) if (chance(0.7)) await say(log, wish)
    await say(log, resetOf('first', 'stop'))
    const prefix = log.end(topic, 0)
    const some = ['a', 'b', 'c', 'd', 'e'].map((name) => {
      const missed = new Set(Array.from({ length: prefix }, (_, n) => n).filter(() => chance(0.6)))
      const lossy = readingBy(log, (batches) =>
        batches.map((batch) => ({
          ...batch,
          records: batch.records.filter(({ offset }) => !missed.has(offset)),
        })),
      )
      return start(name, { log: lossy, takeOverMs })
    })
    await Promise.all(some.map(({ control }) => control.ready()))
    for (const wish of all) if (chance(0.3)) await say(log, wish)
    await say(log, resetOf('zeroth', chance(0.5) ? 'stop' : 'go'))
    await say(log, resetOf('third', 'go'))
    await say(log, resetOf('first', chance(0.5) ? 'stop' : 'go'))
    const isRight = () => resetsOf(log).at(-1) === 'third go'
    await until('it is put right', isRight)
    await allRead(some)
    await until('it is so for good', isRight)
    t.ok(resetsOf(log).length < 60, `seed ${seed}: ${resetsOf(log).length} words`)
    for (const { steps } of some) {
      const last = steps.filter((step) => step === stop || step === begin).at(-1)
      t.equal(last ?? begin, begin, `seed ${seed}: nobody stays stopped`)
    }
    await Promise.all(some.map((each) => each.stop()))
  }
})

t.test(
  'one that begins while the end of another is being done here holds the function',
  async (t) => {
    const steps: string[] = []
    const stopping = hold()
    const resets = new Resets({
      log: { remove: async () => {} },
      instance: 'one',
      logger: createLogger({ level: 'silent', format: 'json' }),
      times: { retryMs: 2, takeOverMs },
      resetting: {
        async begin() {
          steps.push('stop')
          await stopping.held
        },
        async beginAnew() {
          steps.push('begin')
        },
        async catchUp() {},
      },
      say: async () => {},
      readAll: async () => {},
    })
    t.teardown(() => resets[Symbol.dispose]())
    // Its beginning was not heard.
    const ending = resets.hear(resetOf('first', 'go'))
    const beginning = resets.hear(resetOf('second', 'stop'))
    stopping.release()
    await Promise.all([ending, beginning])
    t.same(steps, ['stop', 'stop'])
    await resets.hear(resetOf('second', 'go'))
    t.same(steps, ['stop', 'stop', 'begin'])
  },
)

t.test('one that is over is not waited for by who has not heard of its end', async (t) => {
  const { start, log } = instances(t, limited())
  const { held, release } = hold()
  let isHeld = false
  const slow = readingBy(log, async (batches) => {
    if (isHeld) await held
    return batches
  })
  const [one, late] = [start('one', { takeOverMs }), start('late', { log: slow, takeOverMs })]
  await Promise.all([one.control.ready(), late.control.ready()])
  await say(log, resetOf('first', 'stop'))
  for (const each of [one, late]) await done(each, stop)
  isHeld = true
  await say(log, resetOf('first', 'go'))
  await done(one, begin)
  const asking = late.control.reset('counter')
  await until('it looks what there is', () => wordsOf(log).at(-1).by === 'late')
  release()
  t.match(await asking, { asked: 'all' })
  await until('the other has done both', () => one.steps.length > 4)
  t.same(one.steps.slice(1), [stop, begin, stop, begin])
})

t.test('what another reset has deleted meanwhile is looked at anew', async (t) => {
  const { start, log } = instances(t, limited())
  let asked = 0
  let isAsked = false
  const describe: Log['describe'] = async (...of) => {
    const found = await log.describe(...of)
    if (isAsked) asked += 1
    if (asked === 1 && isAsked) {
      // What is asked here is later than that.
      const at = '2020-01-01T00:00:00.000Z'
      for (const phase of ['stop', 'go'] as const) {
        await say(log, { ...resetOf('first', phase), at })
      }
      await done(one, begin)
    }
    return found
  }
  const one = start('one', { log: instead(log, { describe }), takeOverMs })
  await one.control.ready()
  isAsked = true
  t.match(await one.control.reset('counter'), { asked: 'all' })
  t.equal(asked, 2)
  t.same(one.steps.slice(1), [stop, begin, stop, begin])
})

t.test('who asks for a reset and has not heard of a later one asks again', async (t) => {
  const { start, log } = instances(t, limited())
  let isHeld = false
  let isAsked = false
  const { held, release } = hold()
  const slow = readingBy(log, async (batches) => {
    if (isHeld) await held
    return batches
  })
  const describe: Log['describe'] = async (...of) => {
    if (isAsked && !isHeld) {
      // It has read all that had been said. Their clock is ahead.
      isHeld = true
      await say(log, resetOf('first', 'stop'))
      await say(log, resetOf('first', 'go'))
      await done(one, begin)
    }
    return await log.describe(...of)
  }
  const one = start('one', { takeOverMs })
  const late = start('late', { log: instead(slow, { describe }), takeOverMs })
  await Promise.all([one.control.ready(), late.control.ready()])
  isAsked = true
  const asking = late.control.reset('counter')
  await until('it is said', () => resetsOf(log).length >= 3)
  isHeld = false
  release()
  t.match(await asking, { asked: 'all' })
  await until(
    'the other has done both',
    () => one.steps.filter((step) => step === begin).length > 1,
  )
  t.same(one.steps.slice(1), [stop, begin, stop, begin])
})

t.test('what was found to be stopped when a start failed is begun anew by the next', async (t) => {
  const { start, log, folder } = instances(t, limited())
  await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
  await say(log, resetOf('first', 'stop'))
  const former = join(folder, 'paused.json')
  writeFileSync(former, '["other"]\n')
  let isRefused = true
  const refusing = instead(log, {
    async append(...of: Parameters<Log['append']>) {
      if (isRefused) throw new HostError('BROKER_REFUSED', 'lacks the right Write')
      return await log.append(...of)
    },
  })
  const one = start('one', { log: refusing, former, takeOverMs })
  await t.rejects(one.control.ready(), { code: 'BROKER_REFUSED' })
  await say(log, resetOf('first', 'go'))
  await done(one, begin)
  isRefused = false
  await until('it is ready', () => one.steps.includes('ready, paused: false'))
  t.same(one.steps, [stop, begin, 'ready, paused: false'])
})

t.test('a word that was not acknowledged may be heard later, and says so', async (t) => {
  const { start, log } = instances(t, limited())
  let isLost = false
  const append: Log['append'] = async (...of) => {
    const offsets = await log.append(...of)
    if (isLost) throw new HostError('BROKER_UNAVAILABLE', 'perhaps written, and there twice')
    return offsets
  }
  const one = start('one', { log: instead(log, { append }) })
  await one.control.ready()
  isLost = true
  await t.rejects(one.control.operate('counter', 'pause'), {
    code: 'BROKER_UNAVAILABLE',
    message: /may be heard later: say it again, or the opposite/,
  })
  await done(one, 'pause counter')
})
