// Views when several things befall them at once: never a former topic's data, no record twice, and none that waits for ever.
import { int64, string } from 'millrace'
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { RunnableView } from '#host/processor/view-program.js'
import { turn } from '#host/turn.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { fastClock, partitions } from './harness.js'
import { at, numbers, running, topic, type ViewHarness } from './view-harness.js'

const strict: RunnableView = {
  codec: string,
  update(ctx, value) {
    if (value === 'two') throw new RangeError('not two')
    ctx.set(value)
  },
}
const lenient: RunnableView = { codec: string, update: (ctx, value) => ctx.set(value) }

const runs = (h: ViewHarness) =>
  until('it runs', () =>
    numbers.every(
      (n) => h.states.lastIndexOf(`running ${n}`) > h.states.lastIndexOf(`recovering ${n}`),
    ),
  )

/** A write that waits until it is let through; `reached` resolves when it does. Those behind it do not wait. */
function gated(h: ViewHarness) {
  let open = () => {}
  let gate: Promise<void> | undefined
  let isWaiting = false
  h.store = changed(h.store, {
    partition: (real) => ({
      write: async (changes, meta) => {
        const list = [...changes]
        const shut = list.length > 0 ? gate : undefined
        if (shut !== undefined) {
          gate = undefined
          isWaiting = true
          await shut
        }
        await real.write(list, meta)
      },
    }),
  })
  return {
    shut() {
      isWaiting = false
      gate = new Promise((resolve) => {
        open = resolve
      })
    },
    reached: () => until('a write waits', () => isWaiting),
    open() {
      gate = undefined
      open()
    },
  }
}

t.test('a topic that is made anew while it is paused is copied anew', async (t) => {
  const h = await running()
  await h.put('a', 'former')
  await h.put('gone', 'former')
  await h.start()
  await h.group.pause()
  await h.log.remove([topic])
  await h.prepare()
  // More than it had: its position is there in this one, too.
  for (let n = 0; n < 30; n += 1) await h.put(`k${n}`, 'new')
  h.group.resume()
  await until('it is made anew', () => h.warnings.length > 0)
  await runs(h)
  await h.settled()
  t.same([h.get('a'), h.get('gone')], [undefined, undefined])
  for (let n = 0; n < 30; n += 1) t.equal(h.get(`k${n}`), 'new')
  await h.stop()
})

t.test('partitions that are added are noticed while all of them are busy', async (t) => {
  const h = await running()
  const describe = h.log.describe.bind(h.log)
  let hasMore = false
  h.log.describe = async (names) => {
    const found = await describe(names)
    const info = found.get(topic)
    if (!hasMore || info === undefined) return found
    const more = info.partitions.map((one) => ({ ...one, partition: one.partition + partitions }))
    return new Map([[topic, { ...info, partitions: [...info.partitions, ...more] }]])
  }
  // A minute of it is a tenth of a second.
  h.clock = { ...fastClock, after: (ms, callback) => fastClock.after(ms / 12, callback) }
  await h.start()
  hasMore = true
  await until('it is told', async () => {
    for (let n = 0; n < 12; n += 1) await h.put(`k${n}`, 'x')
    return h.states.includes('outdated')
  })
  t.same(h.halts, [])
  await h.stop('crash')
})

t.test('what is refused at the start is tried again by who resumes it', async (t) => {
  const h = await running()
  await h.put('a', 'x')
  const describe = h.log.describe.bind(h.log)
  let isRefused = true
  h.log.describe = async (names) => {
    if (isRefused) throw new HostError('BROKER_REFUSED', 'not allowed')
    return await describe(names)
  }
  await h.start()
  t.match(h.halts[0]?.error, { code: 'BROKER_REFUSED' })
  isRefused = false
  h.group.resume()
  await runs(h)
  t.equal(h.get('a'), 'x')
  t.equal(h.group.isHalted, false)
  await h.stop()
})

t.test('a version that is gone halts nothing', async (t) => {
  const h = await running()
  const writes = gated(h)
  await h.put('a', 'one')
  await h.put('a', 'two')
  writes.shut()
  const starting = h.start(strict)
  await writes.reached()
  await h.group.swap(h.program(lenient))
  writes.open()
  await starting
  await h.settled()
  t.equal(h.get('a'), 'two')
  t.same([h.group.isHalted, h.halts], [false, []])
  await h.stop()
})

t.test('a partition that is lost leaves one alone that has halted', async (t) => {
  const h = await running()
  await h.start(strict)
  await h.put('a', 'two')
  await until('it halts', () => h.halts.length > 0)
  const { partition: halted } = at('a')
  const other = ['b', 'c', 'd', 'e', 'f'].find((key) => at(key).partition !== halted) ?? ''
  const { partition } = at(other)
  let isGone = true
  h.failing = () => {
    const error = new HostError('OFFSET_OUT_OF_RANGE', 'gone', { stream: topic, partition })
    return isGone ? error : undefined
  }
  const before = h.states.length
  await h.put(other, 'x')
  await until('it is lost', () => h.states.slice(before).includes(`recovering ${partition}`))
  isGone = false
  await until('it is there again', () => h.states.at(-1) === `running ${partition}`)
  t.equal(h.states.slice(before).includes(`recovering ${halted}`), false)
  t.equal(h.group.isHalted, true)
  t.equal(h.get(other), 'x')
  await h.group.swap(h.program(lenient))
  await h.settled()
  t.equal(h.get('a'), 'two')
  await h.stop()
})

t.test('what has halted goes on when its topic is another', async (t) => {
  const h = await running()
  await h.start(strict)
  await h.put('a', 'two')
  await until('it halts', () => h.halts.length > 0)
  await h.log.remove([topic])
  await h.prepare()
  await h.put('a', 'fine')
  await until('it goes on', () => h.states.includes('resumed'))
  await runs(h)
  await h.settled()
  t.equal(h.group.isHalted, false)
  t.equal(h.get('a'), 'fine')
  await h.put('a', 'two')
  await until('a later failure is told', () => h.halts.length === 2)
  await h.stop()
})

t.test('a key can be evicted from what has halted', async (t) => {
  const h = await running()
  const picky: RunnableView = {
    codec: string,
    stored: int64,
    update: (ctx) => ctx.set(BigInt(String(ctx.get() ?? 0n)) + 1n),
  }
  await h.put('a', 'x')
  const { partition, key } = at('a')
  await h.start({ codec: string })
  await h.group.swap(h.program(picky))
  await h.put('a', 'y')
  await until('it halts', () => h.halts.length > 0)
  await h.group.evict(partition, key)
  h.group.resume()
  await h.settled()
  t.equal(h.get('a'), '1')
  await h.stop()
})

t.test('a copy that is lost while a batch is being written counts each record once', async (t) => {
  const h = await running()
  const writes = gated(h)
  let lost: HostError | undefined
  h.failing = () => {
    const error = lost
    lost = undefined
    return error
  }
  await h.start({
    codec: string,
    stored: int64,
    update: (ctx) => ctx.set(BigInt(String(ctx.get() ?? 0n)) + 1n),
  })
  for (const code of ['UNKNOWN_TOPIC', 'LOG_DAMAGED'] as const) {
    writes.shut()
    await h.put(code, 'x')
    await writes.reached()
    lost = new HostError(code, 'for a moment', { stream: topic })
    const before = h.states.length
    await h.put(`${code} again`, 'x')
    await until('it is lost', () => h.states.length > before || h.halts.length > 0)
    if (h.halts.length > 0) h.group.resume()
    // As long as it takes to look at what is stored, and to begin behind it.
    for (let n = 0; n < 100; n += 1) await turn()
    writes.open()
    await runs(h)
    await h.settled()
    t.equal(h.get(code), '1', code)
  }
  await h.stop()
})

t.test('made anew while it catches up, it catches up with the new topic', async (t) => {
  const h = await running()
  for (let n = 0; n < 9; n += 1) await h.put('a', `old${n}`)
  await h.start()
  const writes = gated(h)
  let error: HostError | undefined = new HostError('BROKER_UNAVAILABLE', 'no broker answers')
  h.failing = () => error
  for (let n = 0; n < 9; n += 1) await h.put('a', `newer${n}`)
  await until('it is cut off', () => h.waits.at(-1)?.some((what) => what.includes('cut off')))
  await h.log.remove([topic])
  await h.prepare()
  await h.put('a', 'of another topic')
  error = new HostError('UNKNOWN_TOPIC', 'made anew', { stream: topic })
  await until('it is lost', () => h.warnings.some((what) => what.includes('copied anew')))
  error = undefined
  writes.open()
  await runs(h)
  await until('it has caught up', () => h.waits.at(-1)?.length === 0)
  t.equal(h.get('a'), 'of another topic')
  await h.stop()
})

t.test(
  'what has halted while it was brought up is left alone until somebody resumes it',
  async (t) => {
    const h = await running()
    h.clock = { ...fastClock, after: (ms, callback) => fastClock.after(ms / 1_200, callback) }
    let looks = 0
    const describe = h.log.describe.bind(h.log)
    await h.put('a', 'two')
    await h.start(strict)
    await until('it halts', () => h.halts.length > 0)
    h.log.describe = async (names) => {
      looks += 1
      return await describe(names)
    }
    await until('it was looked at often', () => looks > 20)
    t.equal(h.halts.length, 1)
    await h.group.swap(h.program(lenient))
    await h.settled()
    t.equal(h.get('a'), 'two')
    await h.stop()
  },
)
