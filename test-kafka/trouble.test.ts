// A whole host while its brokers are killed, cut off, slow or silent: it comes back by itself, and nothing is lost or counted twice.
import t, { type Test } from 'tap'
import type { HostUnderTest } from '../test/support/host.js'
import type { Broker } from '../test/support/kafka/broker.js'
import { quietKafka } from '../test/support/kafka/client.js'
import { Load } from '../test/support/kafka/load.js'
import { freePort } from '../test/support/kafka/ports.js'
import { proxyTo } from '../test/support/kafka/proxy.js'
import { ownBroker } from '../test/support/kafka/shared.js'
import { isReady, isRunning, short, trialOf as trialOn } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const way = await proxyTo(t, () => broker.listener('WAY'))
const port = await freePort()
const broker: Broker = await ownBroker(t, {
  port,
  listeners: { WAY: 'PLAINTEXT' },
  properties: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},WAY://${way.address}` },
})

const trialOf = (t: Test, name: string) => {
  t.teardown(() => way.heal())
  return trialOn(t, name, { hostsBy: way.address, addresses: [broker.address], env: short })
}

/** What a person sees while the brokers are away. */
const isTold = async (t: Test, host: HostUnderTest) => {
  await until('readiness tells', async () => {
    const { status, body } = await host.get('/readyz')
    return status === 503 && Object(body).error.code === 'BROKER_UNAVAILABLE'
  })
  const { status, body } = await host.get('/functions')
  t.equal(status, 200, 'functions are shown meanwhile')
  for (const { name, error } of Object(body).functions)
    t.match(error, { code: 'BROKER_UNAVAILABLE' }, name)
}

/** Of the group, as its coordinator has it. */
async function untilMembers(t: Test, group: string, count: number): Promise<void> {
  const admin = quietKafka(broker.address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  await until(`${group} has ${count} members`, async () => {
    const { groups } = await admin.describeGroups([group])
    return groups[0]?.members.length === count
  })
}

t.test('broker gone: an error, not a hang; started again, all goes on', async (t) => {
  const trial = trialOf(t, 'killed')
  const host = trial.host('one')
  await host.start()
  await isRunning(host)
  const load = new Load({ host })
  await load.more(100)
  for (let kill = 1; kill <= 2; kill += 1) {
    await broker.kill()
    if (kill === 1) {
      await load.refused('BROKER_UNAVAILABLE')
      await isTold(t, host)
    }
    await broker.restart()
    await isReady(host)
    await load.more(100)
  }
  await load.stop()
  t.strictSame(await trial.wrong([load], host), {})
  await broker.kill()
  await host.stop()
  t.pass('nor does it hang when it stops')
})

t.test('a broker that is not there yet when the host starts', async (t) => {
  const trial = trialOf(t, 'away')
  await broker.kill()
  // However long anything is tried, the host listens and tells.
  const host = trial.host('one', { MILLRACE_LOG_KAFKA_DELIVERY_TIMEOUT_MS: '120000' })
  await host.start()
  await isTold(t, host)
  t.match(await host.get('/healthz'), { status: 200 })
  await broker.restart()
  await isReady(host)
  const load = new Load({ host })
  await load.more(20)
  await load.stop()
  t.strictSame(await trial.wrong([load], host), {})
})

for (const { how, survived } of [
  { how: 'cut', survived: 'auto-commit survives a cut connection' },
  { how: 'silent', survived: 'and one that has fallen silent for a moment' },
] as const) {
  t.test(`a way that is ${how} for longer than the session`, async (t) => {
    const trial = trialOf(t, how)
    const host = trial.host('one')
    await host.start()
    await isRunning(host)
    const load = new Load({ host })
    await load.more(50)
    way.close(how)
    await isTold(t, host)
    await untilMembers(t, `${trial.namespace}click-count`, 0)
    const { status } = await host.get('/views/click-count/e1')
    t.equal(status, 503, 'a table whose lease is over is not read')
    await host.untilStatus('click-count', 'joining')
    way.heal()
    await isReady(host)
    await load.more(50)
    await load.stop()
    t.strictSame(await trial.wrong([load], host), {})
  })

  t.test(survived, async (t) => {
    const trial = trialOf(t, how)
    const host = trial.host('one')
    await host.start()
    await isRunning(host)
    const load = new Load({ host })
    for (let time = 0; time < 3; time += 1) {
      await load.more(30)
      const { length } = way.accepted
      way.close(how)
      if (how === 'cut') await until('it is tried again', () => way.accepted.length > length)
      way.heal()
    }
    await load.more(30)
    await load.stop()
    t.strictSame(await trial.wrong([load], host), {})
  })
}

t.test('another host takes over from one that is cut off, which then comes back', async (t) => {
  const trial = trialOf(t, 'zombie')
  const group = `${trial.namespace}click-count`
  const one = trial.host('one')
  await one.start()
  await isRunning(one)
  const load = new Load({ host: one })
  await load.more(50)
  way.close('silent')
  const two = trial.host('two', { MILLRACE_LOG_BROKERS: broker.address })
  await two.start()
  await isRunning(two)
  const later = new Load({ host: two, prefix: 'f' })
  await later.more(50)
  way.heal()
  await untilMembers(t, group, 2)
  await load.more(50)
  await later.stop()
  await load.stop()
  // A host has of a partition what it had when it was its own: one has to have all.
  await one.stop()
  t.strictSame(await trial.wrong([load, later], two), {})
})

t.test('a broker that is slow', async (t) => {
  const trial = trialOf(t, 'slow')
  const usual = {
    SESSION_TIMEOUT: 10_000,
    REQUEST_TIMEOUT: 10_000,
    DELIVERY_TIMEOUT: 15_000,
    TRANSACTION_TIMEOUT: 10_000,
    CONNECTION_TIMEOUT: 5_000,
  }
  const env = Object.entries(usual).map(([name, ms]) => [
    `MILLRACE_LOG_KAFKA_${name}_MS`,
    String(ms),
  ])
  const host = trial.host('one', Object.fromEntries(env))
  way.delay(1_000)
  await host.start()
  await isReady(host)
  const load = new Load({ host })
  await load.more(10)
  t.strictSame(Object.fromEntries(load.answers), {}, 'no emit is refused')
  t.equal((await host.status('click-count'))?.state, 'running')
  await load.stop()
  way.heal()
  t.strictSame(await trial.wrong([load], host), {})
})

t.test('answers that never come', async (t) => {
  const trial = trialOf(t, 'unanswered')
  const host = trial.host('one')
  await host.start()
  await isRunning(host)
  const load = new Load({ host })
  await load.more(50)
  for (const api of [
    'Produce',
    'EndTxn',
    'TxnOffsetCommit',
    'AddPartitionsToTxn',
    'Heartbeat',
  ] as const) {
    for (const loss of ['silence', 'answer'] as const) {
      const { happened } = way.lose(api, loss, 3)
      await happened
      await load.more(20)
    }
  }
  way.heal()
  await load.more(20)
  await load.stop()
  t.strictSame(await trial.wrong([load], host), {})
})
