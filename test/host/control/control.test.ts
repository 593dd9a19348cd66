// The control topic: what one instance is asked is done by all that share the log, also by those that come later, and once.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { wordOf } from '#host/control/wish.js'
import { HostError } from '#host/errors.js'
import type { Log, RemoveOptions } from '#host/log/log.js'
import { createMemoryLog } from '#host/log/memory/log.js'
import { until } from '../../support/until.js'
import {
  done,
  grouped,
  instances,
  instead,
  madeBy,
  names,
  resetOf,
  say,
  topic,
} from './instances.js'

t.test(
  'what one is asked all do, and whoever comes later knows of it before it begins',
  async (t) => {
    const { start } = instances(t)
    const [one, two] = [start('one'), start('two')]
    await Promise.all([one.control.ready(), two.control.ready()])
    t.equal(await one.control.operate('counter', 'pause'), 'all')
    t.same(one.steps, ['ready, paused: false', 'pause counter'], 'it is done here by then')
    await done(two, 'pause counter')

    const late = start('late')
    await late.control.ready()
    t.same(late.steps, ['ready, paused: true'], 'it is not done a second time')
    await late.control.operate('counter', 'resume')
    for (const each of [one, two, late]) {
      await done(each, 'resume counter')
      t.notOk(each.control.pauses.has('counter'))
    }
    t.equal(await one.control.operate('counter', 'restart'), 'here', 'a restart is its own')
    t.equal(await one.control.operate('missing', 'pause'), undefined)
    t.same(two.steps, ['ready, paused: false', 'pause counter', 'resume counter'])
  },
)

t.test('several ask at once: all come to the same end, the last that was said', async (t) => {
  const log = createMemoryLog({ seed: 7, faults: { delays: 0.5, gaps: 0.3, emptyBatches: 0.3 } })
  const { start } = instances(t, log)
  const all = ['one', 'two', 'three'].map((name) => start(name))
  await Promise.all(all.map(({ control }) => control.ready()))
  await Promise.all(
    all.flatMap(({ control }) =>
      (['pause', 'resume', 'pause', 'resume'] as const).map((operation) =>
        control.operate('counter', operation),
      ),
    ),
  )
  const said = 12
  await until('all have heard all', () =>
    all.every(({ steps }) => steps.filter((step) => step.endsWith(' counter')).length === said),
  )
  const last = JSON.parse(log.records(topic, 0).at(-1)?.valueText() ?? '')
  for (const { steps, control } of all) {
    t.same(steps, all[0]?.steps)
    t.equal(control.pauses.has('counter'), last.wish === 'pause')
  }
})

t.test('a function that is not here yet comes as it is to be', async (t) => {
  const { start } = instances(t)
  const [one, other] = [start('one'), start('other', { functions: [] })]
  await Promise.all([one.control.ready(), other.control.ready()])
  await one.control.operate('counter', 'pause')
  await done(other, 'pause counter')
  t.ok(other.control.pauses.has('counter'))
})

t.test('what was paused while the log was one host’s is taken over, once', async (t) => {
  const { start, log, folder } = instances(t)
  const former = join(folder, 'paused.json')
  writeFileSync(former, '["counter","other"]\n')
  const elsewhere = start('elsewhere')
  await elsewhere.control.ready()
  await elsewhere.control.operate('counter', 'resume')
  const one = start('one', { former })
  await one.control.ready()
  t.notOk(one.control.pauses.has('counter'), 'what was said since counts')
  t.ok(one.control.pauses.has('other'))
  t.notOk(existsSync(former))
  await done(elsewhere, 'pause other')
  await one.stop()
  const again = start('again', { former })
  await again.control.ready()
  t.ok(again.control.pauses.has('other'))
  t.equal(log.records(topic, 0).length, 2)
})

t.test('a topic that is deleted is made anew, and what is paused stays so', async (t) => {
  const { start, log } = instances(t)
  const one = start('one')
  await one.control.ready()
  await one.control.operate('counter', 'pause')
  await log.remove([topic])
  await until('it is there again', async () => {
    const info = (await log.describe([topic])).get(topic)
    return (info?.partitions[0]?.stableEnd ?? 0) > 0
  })
  const late = start('late')
  await late.control.ready()
  t.ok(late.control.pauses.has('counter'))
  await late.control.operate('counter', 'resume')
  await done(one, 'resume counter')
  t.same(one.steps, ['ready, paused: false', 'pause counter', 'resume counter'])
})

t.test('as long as the topic cannot be had it says why, and goes on by itself', async (t) => {
  const { start, log } = instances(t)
  let isRefused = true
  const one = start('one', {
    log: instead(log, {
      async ensure(specs) {
        if (isRefused) throw new HostError('UNKNOWN_TOPIC', 'make it with kafka-topics.sh')
        await log.ensure(specs)
      },
    }),
  })
  await t.rejects(one.control.ready(), { code: 'UNKNOWN_TOPIC', message: /kafka-topics\.sh/ })
  await t.rejects(one.control.operate('counter', 'pause'), { code: 'UNKNOWN_TOPIC' })
  t.equal(one.lines.filter((line) => line.includes('kafka-topics.sh')).length, 1)
  isRefused = false
  await done(one, 'ready, paused: false')
  t.equal(await one.control.operate('counter', 'pause'), 'all')
})

t.test('whoever waits for it is told when the host stops', async (t) => {
  const { start, log } = instances(t)
  const deaf = start('deaf', { log: instead(log, { ensure: () => new Promise(() => {}) }) })
  const [early, asking] = [deaf.control.ready(), deaf.control.operate('counter', 'pause')]
  await deaf.stop()
  await t.rejects(early, { code: 'STOPPING' })
  await t.rejects(asking, { code: 'STOPPING' })
  await t.rejects(deaf.control.ready(), { code: 'STOPPING' })
})

t.test('records of a later version, and of nobody, are passed over', async (t) => {
  const { start, log } = instances(t)
  const one = start('one')
  await one.control.ready()
  const odd = ['{', '[]', '{"kind":"reset","function":"counter"}', '{"kind":"split"}']
  const record = { topic, partition: 0, timestamp: 0, key: Buffer.from('pause counter') }
  await log.append(odd.map((text) => ({ ...record, value: Buffer.from(text) })))
  await log.append([{ ...record, value: null }])
  await one.control.operate('counter', 'pause')
  t.same(one.steps, ['ready, paused: false', 'pause counter'])
})

t.test('a reset: all stop, then it is deleted, then all begin anew', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  const stopped = () => [one, two].filter(({ steps }) => steps.join().includes('stop')).length
  const { shared, removals } = grouped(log, () => 2 - stopped())
  const [one, two] = [start('one', { log: shared }), start('two', { log: shared })]
  await Promise.all([one.control.ready(), two.control.ready()])
  t.same(await one.control.reset('counter'), {
    topics: [names.table, names.loop],
    positions: 1,
    asked: 'all',
  })
  const steps = ['ready, paused: false', 'stop counter: RECOVERING', 'begin counter']
  t.same(one.steps, steps)
  await done(two, 'begin counter')
  t.same(two.steps, steps)
  t.equal(removals.length, 1, 'by the one who was asked')
  t.equal((await log.describe([names.table, names.loop])).size, 0)
  t.same(await log.committed(names.group), [])
  const late = start('late', { log: shared })
  await late.control.ready()
  t.same(late.steps, ['was reset: 2 topics', 'ready, paused: false'])
})

t.test('a reset whose leader has died is finished by another, and by one that comes', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  const dead = instead(log, { remove: () => new Promise(() => {}) })
  const [leader, other] = [start('leader', { log: dead }), start('other')]
  await Promise.all([leader.control.ready(), other.control.ready()])
  const asking = leader.control.reset('counter')
  await done(leader, 'stop counter: RECOVERING')
  await leader.stop()
  await t.rejects(asking, { code: 'STOPPING' })
  await done(other, 'begin counter')
  t.equal((await log.describe([names.table])).size, 0)

  await madeBy(log)
  await other.stop()
  const next = start('next', { log: dead })
  const left = next.control.reset('counter')
  await done(next, 'stop counter: RECOVERING')
  await next.stop()
  await t.rejects(left, { code: 'STOPPING' })
  const last = start('last')
  await last.control.ready()
  t.same(last.steps.slice(0, 1), ['stop counter: RECOVERING'], 'before any function is started')
  await done(last, 'begin counter')
  t.equal((await log.describe([names.table])).size, 0)
})

t.test('one that deletes late leaves alone what has been made since', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const removed: Promise<void>[] = []
  const slow = instead(log, {
    remove(topics: readonly string[], options?: RemoveOptions) {
      const removal = held.then(() =>
        log.remove(topics, options?.ids === undefined ? {} : { ids: options.ids }),
      )
      removed.push(removal)
      return removal
    },
  })
  const [leader, other] = [start('leader', { log: slow }), start('other')]
  await Promise.all([leader.control.ready(), other.control.ready()])
  await leader.control.reset('counter')
  t.same(other.steps.at(-1), 'begin counter', 'the other has done it')
  await madeBy(log)
  t.equal(removed.length, 1)
  release()
  await removed[0]
  t.equal((await log.describe([names.table, names.loop])).size, 2)
})

t.test(
  'what is said late of a reset changes nothing, also for one who finds it last',
  async (t) => {
    const { start, log } = instances(t)
    const one = start('one', { takeOverMs: 3_600_000 })
    await one.control.ready()
    await say(log, resetOf('zeroth', 'stop'))
    await say(log, resetOf('first', 'stop'))
    await say(log, resetOf('zeroth', 'go'))
    await say(log, resetOf('first', 'go'))
    await say(log, resetOf('second', 'stop'))
    await say(log, resetOf('first', 'go'))
    const newest = () => wordOf(log.records(topic, 0).at(-1)?.valueText() ?? '')
    await until('it is put right', () => newest()?.id === 'second')
    const stop = 'stop counter: RECOVERING'
    t.same(one.steps.slice(1), [stop, stop, 'begin counter', stop])
    const late = start('late', { takeOverMs: 3_600_000 })
    await late.control.ready()
    t.same(late.steps[0], stop, 'the second one is under way')
    await say(log, resetOf('second', 'go'))
    await done(late, 'begin counter')
    await say(log, resetOf('second', 'stop'))
    await until('it is put right', () => {
      const last = newest()
      return last?.kind === 'reset' && last.phase === 'go'
    })
    t.equal(one.steps.filter((step) => step === stop).length, 3, 'it is over')
  },
)

t.test('who was away for several resets learns what each has deleted', async (t) => {
  const { start, log } = instances(t)
  const one = start('one')
  await one.control.ready()
  for (const _ of [1, 2, 3]) {
    await madeBy(log)
    t.match(await one.control.reset('counter'), { topics: { length: 2 } })
  }
  const late = start('late')
  await late.control.ready()
  t.same(late.steps[0], 'was reset: 6 topics')
})

t.test('who leads late deletes nothing before it has read all that was said', async (t) => {
  const { start, log } = instances(t)
  let removals = 0
  let go = () => {}
  let isRead: Promise<void> | undefined
  const late = start('late', {
    log: instead(log, {
      async remove(...of: Parameters<Log['remove']>) {
        removals += 1
        await log.remove(...of)
      },
      reader(options) {
        const reader = log.reader(options)
        const next = reader.next.bind(reader)
        reader.next = async () => {
          const batches = await next()
          await isRead
          return batches
        }
        return reader
      },
    }),
  })
  await late.control.ready()
  await say(log, resetOf('first', 'stop'))
  await done(late, 'stop counter: RECOVERING')
  isRead = new Promise((resolve) => {
    go = resolve
  })
  await say(log, resetOf('first', 'go'))
  await until('it marks how far it has to read', async () => {
    const end = (await log.describe([topic])).get(topic)?.partitions[0]?.end
    return removals > 0 || Number(end) > 2
  })
  const said = log.records(topic, 0).map((record) => wordOf(record.valueText()))
  t.match(said.filter((word) => word?.kind === 'reset').at(-1), { phase: 'go' }, 'it is the newest')
  go()
  await done(late, 'begin counter')
  t.equal(removals, 0)
})

t.test('a reset of which only the end was heard is done here all the same', async (t) => {
  const { start, log } = instances(t)
  const one = start('one')
  await one.control.ready()
  await say(log, resetOf('first', 'go'))
  await done(one, 'begin counter')
  t.same(one.steps.slice(1), ['stop counter: RECOVERING', 'begin counter'])
})

t.test('a reset that is refused is given up by all, and its asker is told', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  const refusing = instead(log, {
    remove: async () => {
      throw new HostError('BROKER_REFUSED', 'lacks the right Delete')
    },
  })
  const [one, two] = [start('one', { log: refusing }), start('two')]
  await Promise.all([one.control.ready(), two.control.ready()])
  await t.rejects(one.control.reset('counter'), {
    code: 'BROKER_REFUSED',
    message: 'lacks the right Delete',
  })
  await done(two, 'begin counter')
  t.equal((await log.describe([names.table])).size, 1)
})

t.test('two who ask for a reset at once get one', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  const { shared, removals } = grouped(log, () => 0)
  const [one, two] = [start('one', { log: shared }), start('two', { log: shared })]
  await Promise.all([one.control.ready(), two.control.ready()])
  await Promise.all([one.control.reset('counter'), two.control.reset('counter')])
  await until('both have begun it anew', () =>
    [one, two].every(({ steps }) => steps.at(-1) === 'begin counter'),
  )
  t.ok(removals.length <= 2)
  t.equal(await one.control.reset('view').then((report) => report?.asked), 'here')
})

t.test('a reset that an instance holds up is told so, and goes on', async (t) => {
  const { start, log } = instances(t)
  await madeBy(log)
  let members = 1
  const { shared } = grouped(log, () => members)
  const one = start('one', { log: shared, resetMs: 20 })
  await one.control.ready()
  await t.rejects(one.control.reset('counter'), {
    code: 'WAIT_TIMEOUT',
    message: /its group counter has members/,
  })
  t.notOk(one.steps.includes('begin counter'))
  members = 0
  await done(one, 'begin counter')
})
