// The embedded log moved to a live broker: exact, whenever it is killed, and a host goes on there as if nothing had happened.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '#host/config.js'
import { openKafkaLog } from '#host/log/kafka/log.js'
import { keepStreams } from '#host/log/kafka/retention.js'
import type { Log } from '#host/log/log.js'
import { Random } from '#host/log/memory/random.js'
import { kafkaSettings } from '#host/open-log.js'
import { contentOf, fill, move, sourceLog, startedAt, topics } from '../test/host/move/moving.js'
import { Command } from '../test/support/command.js'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest, testHost } from '../test/support/host.js'
import { keepsAll } from '../test/support/kafka/properties.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

// Its topics have the names that they have.
const broker = await ownBroker(t, { properties: keepsAll })

const settings = kafkaSettings(
  loadConfig({ root: '.', flags: { log: `kafka://${broker.address}` } }),
)

/** Without what another test has moved there. */
async function kafkaLog(t: Test): Promise<Log> {
  const log = openKafkaLog(settings)
  t.teardown(() => log[Symbol.asyncDispose]())
  const groups = ['count', 'shout', 'millrace-move~', 'millrace-move~journal']
  await log.remove([...topics, 'bulk', 'millrace-move'], { groups })
  return log
}

t.test(
  'what is there is what was here, kept for as long, and Kafka’s tools see the groups',
  async (t) => {
    const source = await sourceLog(t)
    await fill(source)
    const target = await kafkaLog(t)
    const retentionMs = 3_600_000
    const { result } = await move(source, target, {
      retentionMs,
      keep: (streams) => keepStreams(settings, streams),
    })
    t.strictSame(await contentOf(target), await contentOf(source))
    t.strictSame(result.forever, [])
    const configs = await broker.tool('kafka-configs', ['--describe', '--topic', 'clicks'])
    t.match(configs, new RegExp(`retention.ms=${retentionMs} `))
    t.match(configs, /max.message.bytes=8392704/, 'what else was set stays')
    const groups = await broker.tool('kafka-consumer-groups', ['--describe', '--group', 'count'])
    t.match(groups, /clicks +2 +(\d+) /)
    t.ok((await move(source, target)).result.before)
  },
)

t.test('a host that runs there already is refused by its groups', async (t) => {
  const root = testFolder(t)
  const source = await sourceLog(t, join(root, '.millrace/log'))
  await fill(source)
  await source[Symbol.asyncDispose]()
  const target = await kafkaLog(t)
  await target.ensure([{ name: 'clicks', kind: 'stream', partitions: 4 }])
  const membership = await target.join({
    group: 'count',
    topics: ['clicks'],
    instance: 'another',
    assigned: async () => {},
    revoked: async () => {},
    lost: () => {},
  })
  const run = () => new Command(t, ['move', '--root', root, '--to', `kafka://${broker.address}`])
  const refused = run()
  t.match(await refused.ended, { code: 1 })
  t.match(refused.err, /MOVE_CONFLICT.*stop them.*- count: \S+ at 127\.0\.0\.1/s)
  t.equal((await target.describe(['millrace-move'])).size, 0)
  await membership[Symbol.asyncDispose]()
  const done = run()
  t.match(await done.ended, { code: 0 }, done.err)
})

/** Values that count up in each partition, so that one that is missing or there twice is seen. */
const bulk = 400_000

async function bulkLog(t: Test, path: string): Promise<void> {
  const source = await sourceLog(t, path)
  await fill(source)
  await source.ensure([{ name: 'bulk', kind: 'stream', partitions: 4 }])
  for (let at = 0; at < bulk; at += 4_000) {
    await source.append(
      Array.from({ length: 4_000 }, (_, i) => ({
        topic: 'bulk',
        partition: i % 4,
        key: null,
        value: Buffer.from(`${Math.floor((at + i) / 4)}`.padEnd(60)),
        timestamp: startedAt,
      })),
    )
  }
  await source[Symbol.asyncDispose]()
}

async function bulkFault(log: Log): Promise<string | undefined> {
  const info = (await log.describe(['bulk'])).get('bulk')
  for (const { partition, oldest, stableEnd } of info?.partitions ?? []) {
    await using reader = log.reader({ maxBytes: 4_000_000 })
    reader.assign([{ topic: 'bulk', partition, offset: oldest }])
    let expected = 0
    for (let next = oldest; next < stableEnd; ) {
      for (const batch of await reader.next()) {
        for (const record of batch.records) {
          const found = Number(record.valueText())
          if (found !== expected) return `${partition}: ${found}, not ${expected}`
          expected++
        }
        next = batch.next
      }
    }
    if (expected !== bulk / 4) return `${partition}: ${expected} records`
  }
  return undefined
}

t.test('killed at any instant the next run goes on, until all is there once', async (t) => {
  const root = testFolder(t)
  await bulkLog(t, join(root, '.millrace/log'))
  const target = await kafkaLog(t)
  const run = (...more: string[]) =>
    new Command(t, ['move', '--root', root, '--to', `kafka://${broker.address}`, ...more])
  /** Decided or not: to ask for positions is to wait until they are. */
  const written = async (): Promise<number> => {
    const info = (await target.describe(['bulk'])).get('bulk')
    return (info?.partitions ?? []).reduce((sum, { end }) => sum + end, 0)
  }
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  let before = 0
  for (let nth = 1; nth <= 5; nth++) {
    const command = run()
    const wanted = before + random.upTo(bulk / 8)
    await until('so much is copied, or all', async () => {
      if (command.child.exitCode !== null) throw new Error(`it ended: ${command.err}`)
      const now = await written()
      return now >= wanted || command.err.includes('reading back')
    })
    command.child.kill('SIGKILL')
    await command.ended
    const now = await written()
    t.ok(now >= before, `${now} are written when it is killed`)
    before = now
  }
  for (const moment of ['reading back', 'moving positions', 'setting how long']) {
    const command = run()
    await until(moment, () => command.err.includes(moment) || command.child.exitCode !== null)
    command.child.kill('SIGKILL')
    await command.ended
  }
  const last = run('--json')
  t.match(await last.ended, { code: 0 }, last.err)
  t.equal(last.err, '')
  t.ok('before' in JSON.parse(last.out))
  t.equal(await bulkFault(target), undefined)
  t.match(await run().ended, { code: 0 })
})

const counted = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  outputs: { totals: json<number>() },
  loop: json<number>(),
  on: {
    clicks(ctx, n) {
      const total = (ctx.get() ?? 0) + n
      ctx.set(total)
      ctx.emit('totals', ctx.key, total)
      ctx.loopback(ctx.key + '-loop', n)
    },
  },
  onLoop(ctx, n) { ctx.set((ctx.get() ?? 0) + n) },
})`

/** Without a table: what it has read is known by its positions alone. */
const passed = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { totals: json<number>() },
  outputs: { passed: json<number>() },
  on: { totals(ctx, n) { ctx.emit('passed', ctx.key, n) } },
})`

const passes = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { passed: json<number>() },
  table: json<number>(),
  on: { passed(ctx) { ctx.set((ctx.get() ?? 0) + 1) } },
})`

t.test(
  'a host goes on there with every total exact, and not before the move is done',
  async (t) => {
    const functions = { 'counted.ts': counted, 'passed.ts': passed, 'passes.ts': passes }
    const namespace = `${ownName('host')}.`
    const host = await testHost(t, { functions, env: { MILLRACE_NAMESPACE: namespace } })
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)
    const emit = async (one: typeof host) => {
      const lines = Array.from({ length: 2_000 }, (_, i) => ({ key: keys[i % 20] ?? '', value: 1 }))
      return await one.emitAll('clicks', lines)
    }
    const totals = async (one: typeof host, after: string) => {
      await one.view('passes', 'key-0', after)
      const found = new Map<string, unknown>()
      for (const key of keys) {
        found.set(key, await one.view('counted', key))
        found.set(`${key}-loop`, await one.view('counted', `${key}-loop`))
        found.set(`${key} passes`, await one.view('passes', key))
      }
      return [...new Set(found.values())]
    }
    await totals(host, await emit(host))
    // Not all of it is read when it stops.
    await emit(host)
    await host.stop()

    const kafka = {
      MILLRACE_NAMESPACE: namespace,
      MILLRACE_LOG_KIND: 'kafka',
      MILLRACE_LOG_BROKERS: broker.address,
    }
    const there = new HostUnderTest(host.root, { functions: {}, env: kafka })
    t.teardown(() => there.stop())
    const run = () =>
      new Command(t, ['move', '--root', host.root, '--to', `kafka://${broker.address}`], {
        MILLRACE_NAMESPACE: namespace,
      })
    const killed = run()
    await until('it copies', () => killed.err.includes('copying') || killed.child.exitCode !== null)
    killed.child.kill('SIGKILL')
    await killed.ended
    await t.rejects(there.start(), { code: 'MOVE_UNFINISHED' })
    const done = run()
    t.match(await done.ended, { code: 0 }, done.err)
    t.match(done.out, /Next: "log": \{ "kind": "kafka"/)

    await there.start()
    const after = await emit(there)
    await until('all is passed on', async () => (await totals(there, after)).length === 1)
    t.strictSame(await totals(there, after), [300])
  },
)
t.end()
