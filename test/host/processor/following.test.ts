// Copies of a function's own table, of partitions that another instance writes: whole, never ahead of the log, and left alone once a task is to have them.
import { json, string } from 'millrace'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import type { MemoryFaults } from '#host/log/memory/log.js'
import { Random } from '#host/log/memory/random.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { turn } from '#host/turn.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { edges, fastClock, Harness, partitionNumbers, partitions } from './harness.js'

const table = 'sum-table'
const sums: RunnableDefinition = {
  inputs: { numbers: json<number>() },
  outputs: { sums: json<number>() },
  table: json<number>(),
  on: {
    numbers: (ctx, value) =>
      value === 0 ? ctx.delete() : ctx.set(Number(ctx.get() ?? 0) + Number(value)),
  },
}

/** The instance that has all partitions, and one beside it that has none. */
class Pair {
  readonly owner: Harness
  readonly beside: Harness

  constructor(seed = 1, faults: MemoryFaults = {}) {
    this.owner = new Harness({ definition: sums, seed, faults, clock: fastClock })
    const { log } = this.owner
    this.beside = new Harness({ definition: sums, log, clock: fastClock })
  }

  async start(followed: readonly number[] = partitionNumbers): Promise<void> {
    await this.owner.prepare()
    await this.owner.start()
    await this.follow(followed)
  }

  async follow(followed: readonly number[] = partitionNumbers): Promise<void> {
    await this.beside.start([])
    this.beside.group.follow(followed)
  }

  async emit(from: number, to: number): Promise<void> {
    for (let n = from; n < to; n += 1) {
      await this.owner.emit('numbers', `k${n % 17}`, n % 13 === 12 ? 0 : n)
    }
  }

  /** All that was emitted is stored by both. */
  async settled(): Promise<void> {
    await this.owner.settled()
    await this.followed()
  }

  async followed(of: readonly number[] = partitionNumbers): Promise<void> {
    const { log } = this.owner
    await log.quiet()
    await until('all is copied', () =>
      of.every((one) => this.beside.progress.copied(one) >= log.stableEnd(table, one)),
    )
  }

  async end(): Promise<void> {
    await this.beside.crash()
    await this.owner.end()
  }
}

async function contents(h: Harness): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for (const partition of partitionNumbers) {
    for await (const page of h.store.partition(partition).range()) {
      for (const { key, value } of page) found.set(String(key), JSON.parse(String(value)))
    }
  }
  return found
}

const sorted = (of: Map<string, unknown>) => [...of].sort(([a], [b]) => (a < b ? -1 : 1))

async function isWhole(t: Test, { owner, beside }: Pair): Promise<void> {
  t.same(sorted(await contents(beside)), sorted(owner.changelog()), 'it has what the log has')
}

const isFollowed = (h: Harness, partition: number) =>
  h.states.lastIndexOf(`following ${partition} as a standby`) >
  h.states.lastIndexOf(`recovering ${partition} as a standby`)

t.test(
  'it has what another writes, however the log behaves, over deaths, and takes over',
  async (t) => {
    const faults = {
      gaps: 0.2,
      markers: 0.2,
      emptyBatches: 0.2,
      delays: 0.3,
      failed: 0.1,
      unknown: 0.1,
    }
    for (let seed = 1; seed <= 12; seed += 1) {
      const pair = new Pair(seed, faults)
      const { owner, beside } = pair
      await pair.start()
      await pair.emit(1, 60)
      if (seed % 3 === 0) await beside.kill()
      await pair.emit(60, 90)
      if (seed % 3 === 0) await pair.follow()
      await pair.settled()
      await isWhole(t, pair)
      const committed = await owner.log.committed('sum')
      for (const partition of partitionNumbers) {
        const { inputs = [] } = beside.store.partition(partition).meta() ?? {}
        const position = committed.find((one) => one.partition === partition)
        t.match(inputs, [{ topic: 'numbers', offset: position?.offset }], 'positions come along')
        t.not(inputs[0]?.topicId, '')
      }
      // The owner dies with records that nobody has handled; this one goes on from its copy.
      const emitted = pair.emit(90, 120)
      await turn()
      await owner.kill()
      await emitted
      if (seed % 2 === 0) await beside.kill()
      else await beside.drain()
      await beside.start()
      await beside.settled()
      t.same(sorted(await contents(beside)), sorted(beside.changelog()))
      const expected = new Map<string, number>()
      for (let n = 1; n < 120; n += 1) {
        if (n % 13 === 12) expected.delete(`k${n % 17}`)
        else expected.set(`k${n % 17}`, (expected.get(`k${n % 17}`) ?? 0) + n)
      }
      t.same(sorted(await contents(beside)), sorted(expected), 'each record counts once')
      t.same([owner.halts, beside.halts], [[], []])
      t.same(
        beside.warnings.filter((what) => /made anew|copied anew|rebuilt/.test(what)),
        [],
      )
      await pair.end()
    }
  },
)

t.test('a topic that is made anew, or has lost what follows, is copied anew', async (t) => {
  for (const what of ['removed', 'trimmed'] as const) {
    for (const isRunning of [true, false]) {
      const pair = new Pair()
      const { owner, beside } = pair
      await pair.start()
      await owner.emit('numbers', 'gone', 1)
      await pair.emit(1, 40)
      await pair.settled()
      t.equal((await contents(beside)).get('gone'), 1)
      if (!isRunning) await beside.drain()
      await owner.emit('numbers', 'gone', 0)
      await pair.emit(40, 80)
      await owner.settled()
      await owner.drain()
      const { log } = owner
      if (what === 'removed') {
        await log.remove([table])
        await owner.prepare()
        for (const key of ['new', 'other', 'third']) await put(owner, key, 7)
      } else {
        // As a cleaner that has come by: what is there is newer than what follows here.
        for (const key of ['gone', 'new', 'other', 'third']) await put(owner, key, 7)
        for (const partition of partitionNumbers) {
          log.trim(table, partition, log.stableEnd(table, partition) - 1)
        }
      }
      if (!isRunning) await pair.follow()
      if (what === 'removed' || !isRunning) {
        await until('it is made anew', () =>
          beside.warnings.some((text) => /made anew|no longer has/.test(text)),
        )
      }
      await until('it has what is there', async () => {
        const found = await contents(beside)
        return ['new', 'other', 'third'].every((key) => found.get(key) === 7)
      })
      if (what === 'removed') t.equal((await contents(beside)).get('k1'), undefined)
      t.same(beside.halts, [], 'nothing halts for a copy')
      await pair.end()
    }
  }
})

t.test('of another transaction that is open it has nothing, and goes on behind it', async (t) => {
  for (let seed = 1; seed <= 6; seed += 1) {
    const pair = new Pair(seed, { openTransactions: 0.4, emptyBatches: 0.2, delays: 0.2 })
    const { owner, beside } = pair
    // So the log holds it back now and then.
    await owner.log.ensure([{ name: table, kind: 'stream', partitions }])
    await pair.follow()
    for (let n = 0; n < 60; n += 1) {
      await put(owner, `k${n % 7}`, n)
      const isAhead = partitionNumbers.some(
        (one) => beside.progress.copied(one) > owner.log.stableEnd(table, one),
      )
      if (isAhead) t.fail('it has read what is not decided')
    }
    await pair.followed()
    await isWhole(t, pair)
    await pair.end()
  }
})

t.test('one that is left in the middle of a batch, or of a recovery, writes no more', async (t) => {
  for (const when of ['following', 'recovering'] as const) {
    const pair = new Pair()
    const { owner, beside } = pair
    await owner.prepare()
    await owner.start()
    if (when === 'recovering') await pair.emit(1, 60)
    let isOver = false
    let late = 0
    let open = () => {}
    let waiting = 0
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    beside.store = changed(beside.store, {
      partition: (real) => ({
        write: async (changes, meta) => {
          const list = [...changes]
          if (isOver) late += 1
          if (list.length > 0) {
            waiting += 1
            await gate
          }
          await real.write(list, meta)
        },
      }),
    })
    await pair.follow()
    if (when === 'following') {
      await until('all are followed', () =>
        partitionNumbers.every((one) => isFollowed(beside, one)),
      )
      await pair.emit(1, 60)
    }
    await until('a batch of each is on its way', () => waiting === partitions)
    // Behind the one that is being written.
    await pair.emit(60, 90)
    await owner.settled()
    let isLeft = false
    beside.group.follow([])
    const left = beside.group.drain().then(() => {
      isLeft = true
    })
    await turn()
    await turn()
    t.equal(isLeft, false, 'it waits for what is being written')
    open()
    await left
    isOver = true
    await turn()
    t.equal(late, 0)
    t.equal(waiting, partitions, 'and only for that')
    isOver = false
    await pair.follow()
    await pair.settled()
    await isWhole(t, pair)
    await pair.end()
  }
})

t.test('those that are left, and followed again at once, go on where they were', async (t) => {
  for (let seed = 1; seed <= 6; seed += 1) {
    const pair = new Pair(seed, { delays: 0.4, gaps: 0.1 })
    const { owner, beside } = pair
    const random = new Random(seed)
    const slowly = async () => {
      for (let turns = random.upTo(12); turns > 0; turns -= 1) await turn()
    }
    const writing = new Set<number>()
    let together = 0
    const real = beside.store
    beside.store = {
      ...changed(real, {}),
      partition: (number) => ({
        ...changed(real, {}).partition(number),
        write: async (...batch) => {
          if (writing.has(number)) together += 1
          writing.add(number)
          await slowly()
          await real.partition(number).write(...batch)
          writing.delete(number)
        },
      }),
    }
    await pair.start()
    for (let round = 0; round < 12; round += 1) {
      await pair.emit(round * 10 + 1, round * 10 + 11)
      beside.group.follow(partitionNumbers.filter((one) => (one + round) % 3 !== 0))
      if (round % 2 === 0) await turn()
      beside.group.follow(partitionNumbers)
    }
    await pair.settled()
    await isWhole(t, pair)
    t.equal(together, 0, 'one batch after another')
    t.same(beside.warnings, [])
    t.ok(owner.group.isIdle)
    await pair.end()
  }
})

t.test(
  'all have caught up when each has reached the end that it had, its joins included',
  async (t) => {
    const joined = { table: 'names', topic: 'names-table', hasher: 'murmur2' } as const
    const definition: RunnableDefinition = { ...sums, joins: { names: string } }
    const owner = new Harness({ definition: sums, clock: fastClock })
    const { log } = owner
    const beside = new Harness({
      definition,
      log,
      edges: { ...edges, joins: [joined] },
      clock: fastClock,
    })
    await owner.prepare()
    await owner.start()
    for (let n = 0; n < 20; n += 1) await owner.emit('numbers', `k${n}`, n + 1)
    await owner.settled()
    await beside.start([])
    beside.group.follow(partitionNumbers)
    let isDone = false
    const done = beside.group.caughtUp().then(() => {
      isDone = true
    })
    await until('the tables are copied', () =>
      partitionNumbers.every((one) => beside.progress.copied(one) >= log.stableEnd(table, one)),
    )
    await until('the join is waited for', () =>
      beside.waits.at(-1)?.some((what) => what.includes('names-table')),
    )
    t.equal(isDone, false)
    t.notOk(partitionNumbers.some((one) => isFollowed(beside, one)))
    await log.ensure([{ name: joined.topic, kind: 'table', partitions }])
    await done
    t.ok(partitionNumbers.every((one) => isFollowed(beside, one)))
    t.equal(beside.group.copied.length, partitions, 'the join is copied in each of them')
    beside.group.follow([1])
    await until('the others are left', () => beside.group.copied.length === 1)
    await beside.end()
    await owner.crash()
  },
)

t.test('what cannot be copied is tried again, and halts nothing', async (t) => {
  const pair = new Pair()
  const { owner, beside } = pair
  await owner.prepare()
  const { describe } = owner.log
  let isRefused = true
  owner.log.describe = async (names) => {
    if (isRefused && names.includes(table)) throw new HostError('BROKER_REFUSED', 'not allowed')
    return await describe.call(owner.log, names)
  }
  await pair.follow()
  await until('it is told', () => beside.warnings.some((text) => text.includes('not allowed')))
  t.notOk(isFollowed(beside, 0))
  isRefused = false
  await put(owner, 'a', 1)
  await pair.followed()
  await isWhole(t, pair)
  t.same(beside.halts, [])
  const { size } = new Set(beside.warnings)
  t.equal(beside.warnings.length, partitions * size, 'once of each partition')
  await pair.end()
})

t.test('a read that fails is told as being cut off, until all is there again', async (t) => {
  const pair = new Pair()
  const { owner, beside } = pair
  await pair.start()
  await pair.emit(1, 20)
  await pair.settled()
  owner.log.failRead(table, 0)
  for (let n = 0; n < 40; n += 1) await owner.emit('numbers', `k${n}`, n + 1)
  await until('it is told', () => beside.states.includes('cut off'))
  await until('it has caught up', () => beside.states.includes('caught up'))
  await pair.settled()
  await isWhole(t, pair)
  await pair.end()
})

t.test('a store that takes nothing, or is damaged, is told of', async (t) => {
  for (const code of ['STORE_FAILED', 'STORE_DAMAGED'] as const) {
    const pair = new Pair()
    const { beside } = pair
    const refuse = () => Promise.reject(new HostError(code, 'no room'))
    const meta = () => {
      throw new HostError(code, 'no checksum')
    }
    beside.store = changed(beside.store, {
      partition: () => (code === 'STORE_FAILED' ? { write: refuse } : { meta }),
    })
    await pair.owner.prepare()
    await pair.follow()
    await until('it is told', () => beside.states.some((state) => state.startsWith('detached')))
    t.same(beside.halts, [])
    await pair.end()
  }
})

async function put(h: Harness, key: string, value: number): Promise<void> {
  const bytes = Buffer.from(key)
  const partition = partitionOf(bytes, partitions, 'murmur2')
  const record = { key: bytes, value: Buffer.from(String(value)), timestamp: 1 }
  await h.log.append([{ topic: table, partition, ...record }])
}
