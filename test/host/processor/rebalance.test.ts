// A function whose partitions are shared out anew: what stays goes on as it is, what goes and what comes is counted once.
import { json } from 'millrace'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { Random } from '#host/log/memory/random.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { roughLog } from '#host/testing/options.js'
import { until } from '../../support/until.js'
import { at, type HarnessOptions, harness, jsonOf, partitions } from './harness.js'
import { GroupOfHosts, type Member, type Shares } from './shared-out.js'

interface Sum {
  count: number
  sum: number
}

const all = [0, 1, 2]

const sum = (wait?: (key: string) => Promise<void> | undefined): RunnableDefinition => ({
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json<Sum>(),
  on: {
    numbers(ctx, value) {
      const state = (ctx.get() ?? { count: 0, sum: 0 }) as Sum
      ctx.set({ count: state.count + 1, sum: state.sum + Number(value) })
      ctx.emit('sums', ctx.key, state.sum + Number(value))
      return wait?.(String(ctx.key))
    },
  },
})

const partitionOfKey = (key: string) => partitionOf(Buffer.from(key), partitions, 'murmur2')

/** One for each partition. */
const keys = all.map((partition) => {
  for (let n = 0; ; n += 1) if (partitionOfKey(`k${n}`) === partition) return `k${n}`
})
const keyOf = (partition: number): string => keys[partition] ?? ''

async function hosts(t: Test, options: HarnessOptions, shares: Shares): Promise<GroupOfHosts> {
  const group = await GroupOfHosts.start(options, shares)
  t.teardown(() => group.end())
  return group
}

/** All that is in the inputs is handled and stored by whoever has it. */
async function settled(group: GroupOfHosts): Promise<void> {
  const { log } = group.hosts[0] as Member
  await log.quiet()
  await until('all is handled', () =>
    all.every((partition) => {
      const owner = group.owner(partition)
      const position = owner?.progress.position(partition, 0) ?? 0
      return owner?.group.isIdle && position >= log.stableEnd('numbers', partition)
    }),
  )
}

const valueIn = (group: GroupOfHosts, key: string) => group.owner(partitionOfKey(key))?.value(key)

t.test(
  'what stays is not opened again, what goes is handed over, what comes is opened',
  async (t) => {
    const group = await hosts(t, { definition: sum() }, [all, []])
    const [one, two] = group.hosts as [Member, Member]
    for (const key of keys) await one.emit('numbers', key, 1)
    await settled(group)
    one.states.length = 0
    await group.revoke()
    await group.assign([[0, 1], [2]])
    for (const key of keys) await one.emit('numbers', key, 2)
    await settled(group)
    t.same(one.states, [], 'nothing is told of what stays')
    t.same(two.states, ['recovering 2', 'wiping 2', 'running 2'])
    for (const key of keys) t.same(valueIn(group, key), { count: 2, sum: 3 }, key)

    await group.revoke()
    await group.assign([all, []])
    for (const key of keys) await one.emit('numbers', key, 4)
    await settled(group)
    t.same(one.states, ['recovering 2', 'running 2'], 'it has come back')
    for (const key of keys) t.same(valueIn(group, key), { count: 3, sum: 7 }, key)
    t.same(group.violations, [])
  },
)

t.test('nothing is handled from the revocation to the assignment, and then at once', async (t) => {
  let taken = 0
  const definition = sum(() => {
    taken += 1
    return new Promise<void>((resolve) => setImmediate(resolve))
  })
  const group = await hosts(t, { definition }, [all])
  const [one] = group.hosts as [Member]
  await one.emit('numbers', keyOf(0), 1)
  await until('it is taken up', () => taken === 1)
  await group.revoke()
  t.same(one.value(keyOf(0)), { count: 1, sum: 1 }, 'what was taken up is flushed')
  const before = one.records('sums').length
  for (const key of keys) await one.emit('numbers', key, 2)
  // The next one is read ahead, or not: nobody can tell, and nothing comes of it.
  await one.log.quiet()
  t.equal(one.records('sums').length, before)
  await group.assign([all])
  await settled(group)
  t.same(one.value(keyOf(0)), { count: 2, sum: 3 })
  t.same(group.violations, [])
})

t.test('a generation that was left out: all of it is opened anew', async (t) => {
  const group = await hosts(t, { definition: sum() }, [all])
  const [one] = group.hosts as [Member]
  one.states.length = 0
  await group.revoke()
  await group.assign([all], false)
  await until(
    'all run',
    () => one.states.filter((state) => state.startsWith('running')).length === 3,
  )
  await one.emit('numbers', keyOf(1), 1)
  await settled(group)
  t.same(one.value(keyOf(1)), { count: 1, sum: 1 })
})

/** Two that have handled a record of each partition, and what is to hold up the first one's next writer. */
async function beforeOpening(t: Test) {
  const group = await hosts(t, { definition: sum() }, [[0, 1], [2]])
  const [one] = group.hosts as [Member]
  for (const key of keys) await one.emit('numbers', key, 1)
  await settled(group)
  let pass = () => {}
  const gate = new Promise<void>((resolve) => {
    pass = resolve
  })
  return { group, one, openWriter: one.log.openWriter, gate, pass }
}

t.test('a writer that the log does not open holds nobody up', async (t) => {
  const { group, one, openWriter, gate, pass } = await beforeOpening(t)
  let closed = 0
  const asked: AbortSignal[] = []
  one.log.openWriter = async (name, partition, options = {}) => {
    if (options.signal !== undefined) asked.push(options.signal)
    await gate
    const writer = await openWriter(name, partition, options)
    return {
      ...writer,
      async [Symbol.asyncDispose]() {
        closed += 1
        await writer[Symbol.asyncDispose]()
      },
    }
  }
  await group.revoke()
  await group.assign([all, []])
  await until('it is being opened', () => asked.length === 1)
  await group.revoke()
  t.match(asked, [{ aborted: true }], 'nothing further is asked for it')
  one.log.openWriter = openWriter
  await group.assign([[0, 1], [2]])
  for (const key of keys) await group.owner(partitionOfKey(key))?.emit('numbers', key, 2)
  await settled(group)
  for (const key of keys) t.same(group.owner(partitionOfKey(key))?.value(key), { count: 2, sum: 3 })
  pass()
  await until('what comes after all is closed', () => closed === 1)
})

t.test('shared out again while it is opened: that is given up, and opened anew', async (t) => {
  const { group, one, openWriter, gate, pass } = await beforeOpening(t)
  let opens = 0
  one.log.openWriter = async (...of) => {
    const writer = await openWriter(...of)
    opens += 1
    if (opens === 1) await gate
    return writer
  }
  one.states.length = 0
  await group.revoke()
  await group.assign([all, []])
  await until('it is opened', () => opens === 1)
  let isRevoked = false
  const revoked = group.revoke().then(() => {
    isRevoked = true
  })
  for (const key of keys) await one.emit('numbers', key, 2)
  t.notOk(isRevoked, 'what is on its way to the log is waited for')
  pass()
  await revoked
  t.same(one.states, ['recovering 2'])
  await group.assign([all, []])
  await settled(group)
  t.same(one.states, ['recovering 2', 'recovering 2', 'wiping 2', 'running 2'])
  for (const key of keys) t.same(one.value(key), { count: 2, sum: 3 }, key)
  t.same(group.violations, [])
})

for (const written of [true, false]) {
  t.test(`a last flush of unknown outcome (${written ? '' : 'not '}written)`, async (t) => {
    let finish = () => {}
    let taken = 0
    const definition = sum(() => {
      taken += 1
      return new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    const group = await hosts(t, { definition }, [all])
    const [one] = group.hosts as [Member]
    await one.emit('numbers', keyOf(0), 1)
    await until('it is handled', () => taken === 1)
    one.states.length = 0
    one.log.failNext('unknown', { written })
    const revoked = group.revoke()
    finish()
    await revoked
    t.same(one.states, [], 'nothing is opened before the assignment')
    t.match(one.warnings, [/how a flush ended is not known/])
    await group.assign([all])
    await until('it is open', () => one.states.includes('running 0'))
    if (!written) await until('it is handled again', () => taken === 2)
    finish()
    await settled(group)
    t.same(one.states, ['recovering 0', 'running 0'], 'it alone')
    t.same(one.value(keyOf(0)), { count: 1, sum: 1 })
    t.same(group.violations, [])
  })
}

t.test('paused it stays, and what comes is held, too', async (t) => {
  const group = await hosts(t, { definition: sum() }, [[0, 1], [2]])
  const [one] = group.hosts as [Member]
  await one.group.pause()
  await group.revoke()
  await group.assign([all, []])
  await until('what came is open', () => one.states.includes('running 2'))
  for (const key of keys) await one.emit('numbers', key, 1)
  await one.log.quiet()
  t.equal(one.records('sums').length, 0)
  one.group.resume()
  await settled(group)
  t.equal(one.records('sums').length, 3)
})

t.test('a version that is saved meanwhile handles what comes after', async (t) => {
  const group = await hosts(t, { definition: sum() }, [all])
  const [one] = group.hosts as [Member]
  await group.revoke()
  const next: RunnableDefinition = {
    ...sum(),
    on: { numbers: (ctx) => ctx.set({ count: -1, sum: -1 }) },
  }
  await one.group.swap(one.program(next))
  await one.emit('numbers', keyOf(0), 1)
  t.equal(one.value(keyOf(0)), undefined)
  await group.assign([all])
  await settled(group)
  t.same(one.value(keyOf(0)), { count: -1, sum: -1 })
  t.same(group.violations, [])
})

t.test('halted at a record it stays so, unless the record is another host’s by then', async (t) => {
  const poison = sum((key) => {
    if (key === keyOf(2)) throw new Error('this one')
    return undefined
  })
  const options = at(1, { retry: { attempts: 1, backoffMs: 1 } })
  const group = await hosts(t, { definition: poison, options }, [all, []])
  const [one, two] = group.hosts as [Member, Member]
  await one.emit('numbers', keyOf(2), 1)
  await until('it has halted', () => one.halts.length === 1)
  await one.emit('numbers', keyOf(0), 1)
  await group.revoke()
  await group.assign([all, []])
  t.ok(one.group.isHalted)
  t.equal(one.value(keyOf(0)), undefined)

  await group.revoke()
  await group.assign([[0, 1], [2]])
  await until('the other halts there', () => two.halts.length === 1)
  await until('this one goes on', () => one.value(keyOf(0)) !== undefined)
  t.ok(one.states.includes('resumed'))
  t.equal(one.halts.length, 1)
  t.same(group.violations, [])
})

t.test('that an idle table is at its end is not noted between two generations', async (t) => {
  const group = await hosts(t, { definition: sum(), refreshMs: 1 }, [all])
  const [one] = group.hosts as [Member]
  const appliedAt = () => one.store.partition(0).meta()?.appliedAt ?? 0
  await until('it is noted', () => appliedAt() > 0)
  await group.revoke()
  const noted = appliedAt()
  // More than one interval.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1))
  t.equal(appliedAt(), noted)
  t.same(group.violations, [])
  await group.assign([all])
  await until('it is noted again', () => appliedAt() > noted)
})

t.test('a writer that cannot go on is opened anew', async (t) => {
  const group = await hosts(t, { definition: sum() }, [all])
  const [one] = group.hosts as [Member]
  // Whoever opened it is asked anew.
  const openWriter = one.log.openWriter
  let isRefused = true
  one.log.openWriter = async (...of) => {
    const writer = await openWriter(...of)
    writer.renew = async () => {
      if (isRefused) throw new HostError('FENCED', 'no member')
    }
    return writer
  }
  await group.revoke()
  await group.assign([all], false)
  await until(
    'all run',
    () => one.states.filter((state) => state.startsWith('running')).length === 6,
  )
  one.states.length = 0
  await group.revoke()
  await group.assign([all])
  isRefused = false
  await until(
    'all run',
    () => one.states.filter((state) => state.startsWith('running')).length === 3,
  )
  t.match(one.warnings, [/has to be opened anew/, /has to be opened anew/, /has to be opened anew/])
  await one.emit('numbers', keyOf(0), 1)
  await settled(group)
  t.same(one.value(keyOf(0)), { count: 1, sum: 1 })
})

t.test('it ends while it is shared out anew: nothing more is written', async (t) => {
  const group = await hosts(t, { definition: sum() }, [all])
  const [one] = group.hosts as [Member]
  await group.revoke()
  await one.drain()
  t.same(group.violations, [])
})

/** Each partition to one of two, or to nobody for a while. */
const draw = (random: Random): Shares => {
  const shares: number[][] = [[], []]
  for (const partition of all) shares[random.upTo(7) % 2]?.push(partition)
  return shares
}

for (const concurrency of [1, 3]) {
  t.test(`shared out again and again, each counts once (concurrency ${concurrency})`, async (t) => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const random = new Random(seed)
      const definition = sum(() =>
        random.happens(0.5) ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined,
      )
      const options = at(concurrency)
      const group = await GroupOfHosts.start({ seed, faults: roughLog, definition, options }, [
        all,
        [],
      ])
      const [one] = group.hosts as [Member, Member]
      for (let step = 0; step < 120; step += 1) {
        const key = `key-${random.upTo(6)}`
        await one.emit('numbers', key, step)
        const fate = random.upTo(100)
        const host = group.hosts[random.upTo(2) - 1] as Member
        if (fate <= 12) {
          const revoked = group.revoke()
          if (random.happens(0.3)) await one.emit('numbers', key, step)
          await revoked
          if (random.happens(0.2)) await host.kill()
          await group.assign(draw(random), random.happens(0.8))
        } else if (fate <= 15) await host.group.swap(host.program())
        else if (fate <= 17) {
          await host.group.pause()
          host.group.resume()
        }
      }
      await settled(group)
      const inputs = one.records('numbers')
      for (const key of new Set(inputs.map((record) => String(record.key)))) {
        const numbers = inputs.filter((record) => String(record.key) === key).map(jsonOf)
        const sums: number[] = []
        for (const each of numbers) sums.push((sums.at(-1) ?? 0) + Number(each))
        const counted = { count: numbers.length, sum: sums.at(-1) }
        t.strictSame(valueIn(group, key), counted, `seed ${seed}: the table of ${key}`)
        const outputs = one.records('sums').filter((record) => String(record.key) === key)
        t.strictSame(outputs.map(jsonOf), sums, `seed ${seed}: the outputs of ${key}`)
      }
      t.same(group.violations, [], `seed ${seed}`)
      t.same(
        group.hosts.flatMap(({ halts }) => halts),
        [],
        `seed ${seed}: nothing halted`,
      )
      await group.end()
    }
  })
}

t.test('a newcomer has asked what its openings ask, and read, before it has any', async (t) => {
  const h = await harness({ definition: sum() })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  const { log } = h
  const asked = new Set<string>()
  const read: number[] = []
  const describe = log.describe.bind(log)
  const committed = log.committed.bind(log)
  const reader = log.reader.bind(log)
  log.describe = async (names) => {
    for (const name of names) asked.add(name)
    return await describe(names)
  }
  log.committed = async (group) => {
    asked.add(group)
    return await committed(group)
  }
  log.reader = (options) => {
    const made = reader(options)
    const next = made.next.bind(made)
    made.next = async () => {
      const batches = await next()
      read.push(...batches.map(({ records }) => records.length))
      return batches
    }
    return made
  }
  await h.group.ready()
  t.same([...asked].sort(), ['numbers', 'sum', 'sum-table'])
  t.same(read, [1])
  log.describe = async () => {
    throw new HostError('BROKER_UNAVAILABLE', 'away')
  }
  await h.group.ready()
  t.pass('what cannot be asked is asked again when it is needed')
})
