// Instances that come and go under load: each partition runs in exactly one of them, and each click counts once.
import t, { type Test } from 'tap'
import { Random } from '#host/log/memory/random.js'
import { Clicker, Instances } from '../test/support/kafka/instances.js'
import { brokerAddress } from '../test/support/kafka/shared.js'

const address = await brokerAddress(t)
const warnings: string[] = []
const warned = ({ message }: Error) => void warnings.push(message)
process.on('warning', warned)
t.teardown(() => process.off('warning', warned))

/** With the first one running, and clicks coming. */
async function underClicks(t: Test, name: string, partitions: number) {
  const instances = new Instances(t, name, { address, partitions })
  await instances.start('a')
  await instances.shared()
  const topic = `${instances.namespace}clicks`
  const clicker = await Clicker.on(t, address, { topic, keys: 2 * partitions })
  return { instances, clicker }
}

t.test('20 partitions → 10+10 → 20 when one leaves', async (t) => {
  const { instances, clicker } = await underClicks(t, 'halves', 20)
  t.same(await instances.shared(), { a: 20 })
  await instances.start('b')
  t.same(await instances.shared(), { a: 10, b: 10 })
  await clicker.more(200)
  await instances.stop('b')
  t.same(await instances.shared(), { a: 20 })
  await clicker.more(200)
  await instances.counted(await clicker.stop())
})

t.test('five instances staggered over 20 partitions', async (t) => {
  const { instances, clicker } = await underClicks(t, 'staggered', 20)
  // Each comes while what the one before has set off may still go on.
  for (const name of ['b', 'c', 'd', 'e']) await instances.start(name)
  t.same(await instances.shared(), { a: 4, b: 4, c: 4, d: 4, e: 4 })
  await clicker.more(200)
  for (const name of ['a', 'c', 'e']) await instances.stop(name)
  t.same(await instances.shared(), { b: 10, d: 10 })
  await instances.counted(await clicker.stop())
})

t.test('8 instances on 32 partitions join and leave in any order', async (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  const { instances, clicker } = await underClicks(t, 'any-order', 32)
  const all = [...'abcdefgh']
  for (const name of all.slice(1)) await instances.start(name)
  const evenly = Object.fromEntries(all.map((name) => [name, 4]))
  t.same(await instances.shared(), evenly)
  for (let step = 0; step < 6; step += 1) {
    const away = all.filter((name) => !instances.names.includes(name))
    const joins = away.length > 0 && (instances.names.length === 1 || random.happens(0.5))
    const from = joins ? away : instances.names
    const name = from[random.upTo(from.length) - 1] ?? ''
    await (joins ? instances.start(name) : instances.stop(name))
    const counts = Object.values(await instances.shared())
    const isFair = Math.max(...counts) - Math.min(...counts) <= 1
    t.ok(isFair, `${name} ${joins ? 'joins' : 'leaves'}: ${counts}`)
  }
  await instances.counted(await clicker.stop())
})

t.test('nobody was warned of leaks meanwhile', async (t) => {
  t.same(warnings, [])
})
