// Tables of partitions that another host has by now: they are deleted after a while, never under a task, and never so that half of one looks whole.
import { json } from 'millrace'
import t from 'tap'
import { Random } from '#host/log/memory/random.js'
import type { Clock } from '#host/processor/clock.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { openLevelStore } from '#host/tables/level.js'
import type { PartitionStore } from '#host/tables/store.js'
import { turn } from '#host/turn.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { fastClock, Harness, partitionNumbers } from './harness.js'
import { GroupOfHosts, type Member } from './shared-out.js'

const sums: RunnableDefinition = {
  inputs: { numbers: json<number>() },
  outputs: { sums: json<number>() },
  table: json<number>(),
  on: { numbers: (ctx, value) => ctx.set(Number(ctx.get() ?? 0) + Number(value)) },
}

const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
const all = [...partitionNumbers]
const own = all.slice(0, 1)
const gone = all.slice(1)

async function emitted(host: Harness | undefined, by: number): Promise<void> {
  for (const key of keys) await host?.emit('numbers', key, by)
}

const isThere = (host: Member | undefined, partition: number) =>
  host?.store.partition(partition).isThere()

/** What all of them have together, each of what is its own. */
async function sumsOf(group: GroupOfHosts): Promise<Set<unknown>> {
  const found = new Set<unknown>()
  for (const partition of all) {
    const store = group.owner(partition)?.store.partition(partition)
    for await (const page of store?.range() ?? []) {
      for (const { value } of page) found.add(JSON.parse(String(value)))
    }
  }
  return found
}
const untilSums = async (group: GroupOfHosts, sum: number) =>
  await until(`each key is ${sum}`, async () => {
    const found = await sumsOf(group)
    return found.size === 1 && found.has(sum)
  })

t.test('what has gone for long is deleted, and is made anew when it comes back', async (t) => {
  const options = { definition: sums, clock: fastClock, cleanupDelayMs: 500 }
  const group = await GroupOfHosts.start(options, [all, []])
  const [first, second] = group.hosts
  await emitted(first, 1)
  await untilSums(group, 1)
  t.ok(all.every((partition) => isThere(first, partition)))
  await group.revoke()
  await group.assign([own, gone])
  await emitted(first, 1)
  await until('they are deleted', () =>
    gone.every((partition) => isThere(first, partition) === false),
  )
  t.ok(
    own.every((partition) => isThere(first, partition)),
    'its own are not',
  )
  t.ok(
    gone.every((partition) => isThere(second, partition)),
    'nor where they are now',
  )
  await untilSums(group, 2)
  await group.revoke()
  await group.assign([all, []])
  await emitted(first, 1)
  await untilSums(group, 3)
  t.same(group.violations, [])
  await group.end()
})

t.test('what comes back in time is read on from where it was', async (t) => {
  const options = { definition: sums, clock: fastClock, cleanupDelayMs: 3_600_000 }
  const group = await GroupOfHosts.start(options, [all, []])
  const [first] = group.hosts
  await emitted(first, 1)
  await untilSums(group, 1)
  const before = gone.map((partition) => first?.store.partition(partition).meta()?.changelog.next)
  const from = first?.states.length
  for (const shares of [
    [own, gone],
    [all, []],
  ]) {
    await group.revoke()
    await group.assign(shares)
    await untilSums(group, 1)
  }
  t.ok(before.every((next) => (next ?? 0) > 0))
  const states = first?.states.slice(from).filter((state) => state.startsWith('wiping'))
  t.same(states, [])
  await group.end()
})

t.test('what comes back while it is deleted is whole, wherever that has come to', async (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  const options = { definition: sums, clock: fastClock, cleanupDelayMs: 1 }
  const group = await GroupOfHosts.start(options, [[], all])
  const [first, second] = group.hosts
  if (first === undefined) throw new Error('there is no first')
  const store = await openLevelStore({ path: testFolder(t) })
  t.teardown(() => store[Symbol.asyncDispose]())
  let [begun, given] = [0, 0]
  await first.crash()
  const dropped = new Set<PartitionStore>()
  const written: string[] = []
  const check = (inner: PartitionStore) => {
    if (dropped.has(inner)) written.push('a partition was written while it was deleted')
  }
  first.store = changed(store, {
    partition: (inner) => ({
      async wipe() {
        check(inner)
        await inner.wipe()
      },
      async write(...of) {
        check(inner)
        await inner.write(...of)
      },
      async drop(signal) {
        begun += 1
        dropped.add(inner)
        for (let n = random.upTo(8); n > 0; n -= 1) await turn()
        // The last step that was begun may take its time.
        await inner.drop(new AbortController().signal)
        dropped.delete(inner)
        if (signal.aborted) given += 1
      },
    }),
  })
  await first.start([])
  for (let round = 1; round <= 30; round += 1) {
    await emitted(second, 1)
    const before = begun
    const from = first.states.length
    await group.revoke()
    await group.assign(round % 2 === 1 ? [all, []] : [own, gone])
    if (round % 6 === 1) await until('it runs', () => first.states.includes('running 1', from))
    if (round % 6 === 2) await until('one is being deleted', () => begun > before)
    for (let n = random.upTo(30); n > 0; n -= 1) await turn()
  }
  await untilSums(group, 30)
  t.comment(`${begun} were begun, ${given} of them given up`)
  t.same(written, [])
  t.same(group.violations, [])
  await group.end()
})

t.test('before it is told what it has, nothing counts as gone', async (t) => {
  const delays: number[] = []
  const clock: Clock = {
    ...fastClock,
    after: (ms, then) => {
      delays.push(ms)
      return fastClock.after(ms, then)
    },
  }
  const host = new Harness({ definition: sums, clock, cleanupDelayMs: 777 })
  await host.prepare()
  await host.start()
  await emitted(host, 1)
  await host.settled()
  await host.crash()
  await host.start('untold')
  t.notOk(delays.includes(777))
  ;(await host.group.assign({ partitions: own, kept: [], standbys: [] }))()
  await until('what others have is deleted', () =>
    gone.every((partition) => !host.store.partition(partition).isThere()),
  )
  t.ok(own.every((partition) => host.store.partition(partition).isThere()))
  t.ok(delays.includes(777))
  await host.end()
})

t.test('a copy is kept as long as it is to be kept here, and deleted after that', async (t) => {
  const owner = new Harness({ definition: sums, clock: fastClock })
  await owner.prepare()
  await owner.start()
  await emitted(owner, 1)
  await owner.settled()
  const options = { definition: sums, clock: fastClock, cleanupDelayMs: 500, log: owner.log }
  const beside = new Harness(options)
  await beside.start([])
  const standBy = async (...standbys: number[]) =>
    (await beside.group.assign({ partitions: [], kept: [], standbys }))()
  const isFollowed = (partition: number) =>
    beside.states.includes(`following ${partition} as a standby`)
  await standBy(0, 1)
  await until('both are copied', () => isFollowed(0) && isFollowed(1))
  await standBy(1, 2)
  await until('one is deleted', () => beside.store.partition(0).isThere() === false)
  await until('the other is copied', () => isFollowed(2))
  t.ok(beside.store.partition(1).isThere())
  t.same(
    beside.states.filter((state) => state.startsWith('dropped')),
    ['dropped 0'],
  )
  await beside.crash()
  await owner.end()
})
