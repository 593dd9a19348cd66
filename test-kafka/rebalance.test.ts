// A second host that joins and leaves under load: what stays keeps running, and each record counts once.
import t from 'tap'
import { PeerClient } from '#host/cluster/client.js'
import { heartbeatPath } from '#host/cluster/paths.js'
import type { HostUnderTest } from '../test/support/host.js'
import { Load } from '../test/support/kafka/load.js'
import { brokerAddress } from '../test/support/kafka/shared.js'
import { isRunning, trialOf } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const name = 'click-count'

/** Partitions that are shown as recovering though they were running just before. */
function reopened(host: HostUnderTest): string[] {
  const found: string[] = []
  let before = new Map<number, string>()
  const { catalog } = host.host
  const takeBack = catalog.onChange(name, () => {
    const now = new Map(
      catalog.condition(name)?.partitions.map(({ partition, state }) => [partition, state]),
    )
    for (const [partition, state] of now) {
      if (state === 'recovering' && before.get(partition) === 'running') found.push(`${partition}`)
    }
    before = now
  })
  t.teardown(takeBack)
  return found
}

interface SharedOut {
  readonly partitions: readonly number[]
  readonly kept: readonly number[]
}

/** What the host has said of it. */
const sharedOut = (host: HostUnderTest): SharedOut[] =>
  host.lines.flatMap((line) => {
    const said = JSON.parse(line)
    return said.function === name && said.msg.includes('shared out anew') ? [said] : []
  })

t.test('hosts join and leave under load: partitions that stay are not opened anew', async (t) => {
  // Nobody dies: a session that is lost because the machine is busy would look as if what stays was opened anew.
  const trial = trialOf(t, 'rebalance', { hostsBy: address, addresses: [address] })
  const [one, two] = [trial.host('one'), trial.host('two')]
  await one.start()
  await isRunning(one)
  const again = reopened(one)
  const load = new Load({ host: one })
  const loads = [load]
  await load.more(50)
  const owned = async (host: HostUnderTest) =>
    (await host.status(name))?.partitions.filter(({ state }) => state === 'running').length ?? 0
  for (const round of [1, 2]) {
    await two.start()
    await until('they share', async () => {
      const [ofOne, ofTwo] = [await owned(one), await owned(two)]
      return ofOne > 0 && ofTwo > 0 && ofOne + ofTwo === 3
    })
    const further = new Load({ host: two, prefix: `${round}-` })
    loads.push(further)
    await Promise.all([load.more(50), further.more(50)])
    await further.stop()
    await two.stop()
    await until('the first has all of them', async () => (await owned(one)) === 3)
    await load.more(50)
  }
  await load.stop()
  t.strictSame(await trial.wrong(loads, one), {})
  t.same(again, [])
  const told = sharedOut(one)
  t.equal(told.length, 4, 'its thread went on each time')
  t.ok(told.every(({ kept }) => kept.length > 0))
})

t.test('who stays hears of one that leaves from it, however seldom it asks', async (t) => {
  const env = {
    MILLRACE_LOG_KAFKA_HEARTBEAT_INTERVAL_MS: '200000',
    MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: '600000',
    MILLRACE_LOG_KAFKA_REBALANCE_TIMEOUT_MS: '600000',
  }
  const trial = trialOf(t, 'leaves', { hostsBy: address, addresses: [address], env })
  const [one, two] = [trial.host('one'), trial.host('two')]
  await one.start()
  await isRunning(one)
  const starting = two.start()
  using client = new PeerClient(undefined)
  const sharing = (of: string) => one.host.catalog.members(of).length === 2
  await until('they share', async () => {
    for (const of of [name, 'page-count'].filter((of) => !sharing(of))) {
      const [self] = one.host.catalog.members(of)
      if (self?.address === undefined) continue
      // Of one that comes nobody hears but by asking.
      const peer = { instance: self.instance, address: self.address }
      await client.ask(peer, { method: 'POST', path: heartbeatPath(of), timeoutMs: 5000 })
    }
    return sharing(name) && sharing('page-count')
  })
  await starting
  await two.stop()
  await until('the first has all of them', async () => {
    const status = await one.status(name)
    return status?.partitions.filter(({ state }) => state === 'running').length === 3
  })
})
