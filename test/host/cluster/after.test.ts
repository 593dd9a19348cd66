// Waiting for an emit over functions whose partitions several instances have.
import t, { type Test } from 'tap'
import { askedHeader } from '#host/cluster/headers.js'
import { proofHeader } from '#host/cluster/proof.js'
import { createMemoryLog } from '#host/log/memory/log.js'
import { got, type Instance, keyIn, proofOf, secret, startPair, tell } from './two-instances.js'

/** `clicks` → counts → `pages` → totals; both instances know it, and have one log. */
async function chain(t: Test, env: Readonly<Record<string, string>> = {}) {
  const keys = [0, 1, 2, 3].map(keyIn)
  const log = createMemoryLog()
  const options = { log, graceMs: 60_000, timeoutMs: 60_000, env }
  const { one, two } = await startPair(t, keys, (_, isOwn) => (isOwn ? '"new"' : '"old"'), options)
  for (const instance of [one, two]) {
    await instance.stream('clicks')
    await instance.stream('pages')
    const counts = instance.catalog.table('counts')
    if (counts === undefined) throw new Error('no table')
    instance.catalog.tables.set('totals', { ...counts, name: 'totals', function: 'totals' })
    instance.catalog.fakes = [
      { name: 'counts', inputs: ['clicks'], outputs: ['pages'] },
      { name: 'totals', inputs: ['pages'] },
    ]
  }
  return { one, two, log }
}

async function emit(at: Instance, key: string): Promise<string> {
  const sent = { method: 'POST', body: '1' }
  const { token } = JSON.parse((await got(`/emitters/clicks/${key}`, at, sent)).text)
  return token
}

/** Whether it is answered before the other instance has been asked for its positions, and has answered. */
function watched(answer: Promise<unknown>) {
  let isAnswered = false
  void answer.then(() => {
    isAnswered = true
  })
  return () => isAnswered
}

/** Resolves when somebody waits for a change there. */
async function someoneWaits({ catalog }: Instance): Promise<void> {
  while (catalog.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve))
}

t.test('a list waits for the partitions of other instances, too', async (t) => {
  const { one, two } = await chain(t)
  const token = await emit(one, keyIn(2))
  const asked = `/views/counts?after=${token}&timeoutMs=60000`
  const page = got(asked, one)
  const batch = got(asked, one, { method: 'POST', body: `{"keys":["${keyIn(0)}"]}` })
  const isAnswered = watched(Promise.race([page, batch]))
  await someoneWaits(two)
  t.notOk(isAnswered())
  two.catalog.move('counts', 'clicks', 2, 1)
  t.match(await Promise.all([page, batch]), [{ status: 200 }, { status: 200 }])
})

t.test('over a hop that is at another instance', async (t) => {
  const { one, two, log } = await chain(t)
  const token = await emit(two, keyIn(2))
  const answer = got(`/views/totals/${keyIn(0)}?after=${token}&timeoutMs=60000`, one)
  const isAnswered = watched(answer)
  await someoneWaits(two)
  const page = { topic: 'pages', partition: 0, key: Buffer.from(keyIn(0)), value: Buffer.from('1') }
  await log.append([{ ...page, timestamp: 0 }])
  two.catalog.move('counts', 'clicks', 2, 1)
  // Then it waits for its own part of the last hop.
  while (!one.catalog.listeners.size) await new Promise((resolve) => setImmediate(resolve))
  t.notOk(isAnswered())
  await one.catalog.catchUp('totals', 'pages')
  t.match(await answer, { status: 200, text: '"new"' })
})

t.test('the owner waits on behalf of the one that was asked', async (t) => {
  const { one, two } = await chain(t)
  const token = await emit(one, keyIn(2))
  const path = `/views/counts/${keyIn(2)}?after=${token}`
  const answer = got(`${path}&timeoutMs=60000`, one)
  await someoneWaits(two)
  two.catalog.move('counts', 'clicks', 2, 1)
  t.match(await answer, { status: 200, text: '"new"' })
  const again = await emit(one, keyIn(2))
  t.match(await got(`/views/counts/${keyIn(2)}?after=${again}&timeoutMs=20`, one), {
    status: 504,
    text: /WAIT_TIMEOUT/,
  })
  const list = await got(`/views/counts?after=${again}&timeoutMs=20`, one)
  t.match(list, { status: 504, text: /counts \(at two\) is at 0 of clicks\/2 and has to reach 2/ })
})

t.test('what was reached when it had the partition before does not count', async (t) => {
  const { one, two } = await chain(t)
  // Of a topic that was made anew since.
  one.catalog.move('counts', 'clicks', 2, 1000)
  const token = await emit(one, keyIn(2))
  const page = got(`/views/counts?after=${token}&timeoutMs=60000`, one)
  const isAnswered = watched(page)
  await someoneWaits(two)
  t.notOk(isAnswered())
  two.catalog.move('counts', 'clicks', 2, 1)
  t.match(await page, { status: 200 })
})

t.test('a lease that is renewed while it is waited for', async (t) => {
  const { one } = await chain(t)
  const token = await emit(one, keyIn(0))
  one.catalog.move('counts', 'clicks', 0, 1)
  one.catalog.lost.add(0)
  const page = got(`/views/counts?after=${token}&timeoutMs=60000`, one)
  await someoneWaits(one)
  // Nobody tells.
  one.catalog.lost.delete(0)
  t.match(await page, { status: 200 })
})

t.test('a partition that goes to another while it is waited for is waited for there', async (t) => {
  const { one, two } = await chain(t)
  const token = await emit(one, keyIn(0))
  const answer = got(`/views/counts/${keyIn(0)}?after=${token}&timeoutMs=60000`, one)
  await someoneWaits(one)
  one.owns(1)
  two.owns(0, 2, 3)
  for (const instance of [one, two]) tell(instance, [one, 1], [two, 0, 2, 3])
  await someoneWaits(two)
  two.catalog.move('counts', 'clicks', 0, 1)
  t.match(await answer, { status: 200, text: '"old"' }, 'as it is there')
})

t.test('reads of others that wait keep nobody from asking for positions', async (t) => {
  const { one, two } = await chain(t, { MILLRACE_LIMITS_MAX_WAITING: '1' })
  const [waiting, other] = [keyIn(2), keyIn(3)]
  // A third one's.
  const path = `/cluster/views/counts/${waiting}?after=${await emit(one, waiting)}&timeoutMs=60000`
  const proof = proofOf(secret, { method: 'GET', path, to: 'two' })
  const read = got(path, two, { headers: { [proofHeader]: proof, [askedHeader]: 'two' } })
  await someoneWaits(two)
  const page = got(`/views/counts?after=${await emit(one, other)}&timeoutMs=60000`, one)
  const isRefused = watched(page)
  while (two.catalog.listeners.size < 2 && !isRefused()) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  two.catalog.move('counts', 'clicks', 3, 1)
  t.match(await page, { status: 200 })
  two.catalog.move('counts', 'clicks', 2, 1)
  t.match(await read, { status: 200 })
})

t.test('clients that wait do not keep out who asks for another instance', async (t) => {
  const { one, two } = await chain(t, { MILLRACE_LIMITS_MAX_WAITING: '1' })
  const waiting = async (at: Instance, partition: number) => {
    const key = keyIn(partition)
    return await got(`/views/counts/${key}?after=${await emit(at, key)}&timeoutMs=60000`, at)
  }
  const own = waiting(two, 3)
  await someoneWaits(two)
  const forAnother = waiting(one, 2)
  const isRefused = watched(forAnother)
  while (two.catalog.listeners.size < 2 && !isRefused()) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  two.catalog.move('counts', 'clicks', 2, 1)
  two.catalog.move('counts', 'clicks', 3, 1)
  t.match(await Promise.all([forAnother, own]), [{ status: 200 }, { status: 200 }])
})
