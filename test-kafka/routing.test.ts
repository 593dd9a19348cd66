// Two hosts that share a chain of functions: any key, list, batch and token at each, through a death and several rebalances.
import { join } from 'node:path'
import t from 'tap'
import { partitionOf } from '#host/log/partitioner.js'
import { Command } from '../test/support/command.js'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { clickCount } from '../test/support/kafka/load.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { short } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)

const functions = {
  'click-count.ts': clickCount({ click: 'number', page: 'number', emitted: "'p-' + ctx.key, 1" }),
  'page-count.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { pages: json<number>() },
  table: json<number>(),
  on: { pages: (ctx, one) => ctx.set((ctx.get() ?? 0) + one) },
})`,
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly text: string
}

async function get(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init)
  const retryAfter = response.headers.get('retry-after')
  return { status: response.status, retryAfter, text: await response.text() }
}

/** The partitions of click-count that a host has. */
async function partitionsAt(url: string): Promise<number[]> {
  const { status, text } = await get(`${url}/functions/click-count`)
  const told: { state: string; partitions: { partition: number; state: string }[] } =
    status === 200 ? JSON.parse(text) : { state: '', partitions: [] }
  const running = told.partitions.filter(({ state }) => state === 'running')
  return told.state === 'running' ? running.map(({ partition }) => partition) : []
}

t.test('any instance answers, and no answer is older than one before it', async (t) => {
  const env = {
    ...short,
    MILLRACE_CLUSTER_SECRET: 'a-secret-of-the-cluster',
    MILLRACE_LOG_BROKERS: address,
    MILLRACE_NAMESPACE: `${ownName('routing')}-`,
    MILLRACE_LOG_PARTITIONS: '4',
  }
  const root = testFolder(t)
  const hostOf = (name: string) => {
    const host = new HostUnderTest(join(root, name), { functions, env })
    t.teardown(() => host.stop())
    return host
  }
  const one = hostOf('one')
  // That one in a process of its own, to be killed.
  const { root: folder } = hostOf('two')
  const args = ['start', '--root', folder, '--port', '0', '--no-supervisor']
  const command = new Command(t, args, { ...env, MILLRACE_LOGGING_FORMAT: 'json' })
  await one.start()
  const two = await command.host()
  const isShared = async (urls: readonly string[]) => {
    const shares = await Promise.all(urls.map(partitionsAt))
    return shares.every((share) => share.length === 4 / urls.length)
  }
  const { url } = one.host
  await until('both have their share', () => isShared([url, two.url]))

  const keys = Array.from({ length: 24 }, (_, n) => `k${n}`)
  const tokens = await Promise.all(keys.map((key) => one.emit('clicks', key, 1)))
  for (const [n, key] of keys.entries()) {
    const wait = `?after=${tokens[n]}&timeoutMs=30000`
    for (const at of [two.url, url]) {
      t.match(await get(`${at}/views/page-count/p-${key}${wait}`), { status: 200, text: '1' }, key)
    }
  }
  const all = tokens.map((token) => `after=${token}`).join('&')
  for (const path of ['/views/click-count', '/views/page-count?limit=7']) {
    const lists = await Promise.all(
      [url, two.url].map((at) => get(`${at}${path}${path.includes('?') ? '&' : '?'}${all}`)),
    )
    t.equal(lists[0]?.status, 200)
    t.equal(lists[0]?.text, lists[1]?.text, 'the same list at both')
  }
  const batch = { method: 'POST', body: JSON.stringify({ keys: keys.map((key) => `p-${key}`) }) }
  const expected = JSON.stringify(Object.fromEntries(keys.map((key) => [`p-${key}`, 1])))
  for (const at of [url, two.url]) {
    t.match(await get(`${at}/views/page-count`, batch), { status: 200, text: expected })
  }

  // A key of each partition: some are not at the one that is asked, and others come and go.
  const counted = Array.from({ length: 4 }, (_, partition) => {
    const isIn = (key: string) => partitionOf(Buffer.from(key), 4, 'murmur2') === partition
    return { key: keys.find(isIn) ?? '', seen: [1] }
  })
  let emitted = 1
  let isOver = false
  const wrong: Answer[] = []
  const reading = counted.map(async ({ key, seen }) => {
    while (!isOver) {
      const answer = await get(`${url}/views/click-count/${key}`)
      if (answer.status === 200) seen.push(Object(JSON.parse(answer.text)).count)
      else if (answer.status !== 503 || answer.retryAfter === null) wrong.push(answer)
    }
  })
  const emitting = (async () => {
    while (!isOver) {
      await Promise.all(counted.map(({ key }) => one.emit('clicks', key, 1)))
      emitted += 1
    }
  })()
  const more = async () => {
    const count = emitted + 5
    const isMore = () => counted.every(({ seen }) => (seen.at(-1) ?? 0) > count)
    await until('more of each is written, and read', isMore)
  }
  await more()
  process.kill(two.pid, 'SIGKILL')
  await until('one has all', () => isShared([url]))
  await more()
  const three = hostOf('three')
  await three.start()
  await until('it has its share', () => isShared([url, three.host.url]))
  await more()
  await three.stop()
  await until('one has all again', () => isShared([url]))
  await more()
  isOver = true
  await Promise.all([...reading, emitting])
  t.same(wrong, [], 'nothing but values, and what is to be tried again')
  for (const { key, seen } of counted) {
    const back = seen.filter((count, n) => n > 0 && count < (seen[n - 1] ?? 0))
    t.same(back, [], `${key} never goes back`)
    const last = await one.emit('clicks', key, 1)
    t.match(await one.view('click-count', key, last), { count: emitted + 1 })
  }
})
