// Reads of a table by way of its function's thread: what waits when a thread goes, what is left open, and what is told of damage.
import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { RemoteView, serveView } from '#host/functions/remote-view.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { createTableView, type TableView } from '#host/tables/view.js'
import { all, metaAt, put, shown } from '../tables/conformance.js'

const error = (message: string) => new HostError('RECOVERING', message)

function remote(t: Test, { withinMs = 60_000 } = {}) {
  const opened: number[] = []
  const failed: string[] = []
  const view = new RemoteView({
    withinMs,
    opened: () => opened.push(1),
    closed: () => error('closed'),
    late: () => error('late'),
    failed: ({ code }) => failed.push(code),
  })
  t.teardown(() => view.disconnect())
  /** In the place of the thread before. */
  const serve = async (served: TableView) => {
    const { port1, port2 } = new MessageChannel()
    view.connect(port1)
    serveView(port2, served)
    await once(port1, 'message')
    return port2
  }
  return { view, serve, opened, failed }
}

async function table(entries = 10): Promise<TableView> {
  const store = createMemoryStore()
  for (const partition of [0, 1]) {
    const changes = Array.from({ length: entries }, (_, n) => put(`k-${n}-${partition}`, `${n}`))
    await store.partition(partition).write(changes, metaAt(1))
  }
  return createTableView(store, 2)
}

const never: TableView = {
  get: () => new Promise(() => {}),
  range: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
  sample: () => new Promise(() => {}),
}

t.test('values, ranges and samples are what the thread has', async (t) => {
  const { view, serve, opened } = remote(t)
  await t.rejects(view.get(0, Buffer.from('k')), /closed/, 'before there is a thread')
  const local = await table(3_000)
  await serve(local)
  t.equal(opened.length, 1)
  t.same(await view.get(1, Buffer.from('k-7-1')), Buffer.from('7'))
  t.equal(await view.get(0, Buffer.from('k-7-1')), undefined)
  t.same(shown(await all(view.range())), shown(await all(local.range())))
  const bounds = { from: Buffer.from('k-2'), to: Buffer.from('k-3') }
  t.same(shown(await all(view.range(bounds))), shown(await all(local.range(bounds))))
  const limits = { maxValues: 20, maxBytes: 1_000 }
  t.same(await view.sample(limits), await local.sample(limits))
})

t.test('what waits is refused when the thread goes, or another comes', async (t) => {
  const { view, serve } = remote(t)
  const port = await serve(never)
  const waiting = [
    view.get(0, Buffer.from('k')),
    all(view.range()),
    view.sample({ maxValues: 1, maxBytes: 1 }),
  ]
  port.close()
  for (const each of waiting) await t.rejects(Promise.resolve<unknown>(each), /closed/)
  await t.rejects(view.get(0, Buffer.from('k')), /closed/)
  await serve(await table())
  const range = view.range()[Symbol.asyncIterator]()
  t.notOk((await range.next()).done)
  await serve(await table())
  await t.rejects(range.next(), /closed/, 'another thread knows nothing of a range')
  t.same(await view.get(0, Buffer.from('k-1-0')), Buffer.from('1'))
})

t.test('what is read while it may be wiped is refused', async (t) => {
  const { view, serve } = remote(t)
  const local = await table(3_000)
  let read = () => {}
  const isRead = new Promise<void>((resolve) => {
    read = resolve
  })
  await serve({ ...local, get: (...of) => isRead.then(() => local.get(...of)) })
  const range = view.range()[Symbol.asyncIterator]()
  t.equal((await range.next()).value?.length, 1_000)
  const waiting = view.get(0, Buffer.from('k-1-0'))
  const began = all(view.range())
  view.interrupt()
  await t.rejects(waiting, /closed/)
  await t.rejects(began, /closed/)
  await t.rejects(range.next(), /closed/)
  read()
  t.same(await view.get(0, Buffer.from('k-1-0')), Buffer.from('1'), 'and read again afterwards')
  t.equal((await all(view.range())).length, 6_000)
})

t.test('a range that is left, or comes too late, is left there, too', async (t) => {
  for (const withinMs of [60_000, 20]) {
    const { view, serve } = remote(t, { withinMs })
    let left = 0
    const isLeft = new Promise<void>((resolve) => {
      const pages: AsyncIterableIterator<[]> = {
        next: async () =>
          withinMs === 20 ? await new Promise(() => {}) : { done: false, value: [] },
        async return() {
          left += 1
          resolve()
          return { done: true, value: undefined }
        },
        [Symbol.asyncIterator]: () => pages,
      }
      void serve({ ...never, range: () => pages }).then(async () => {
        const range = view.range()[Symbol.asyncIterator]()
        if (withinMs === 20) await t.rejects(range.next(), /late/)
        else {
          await range.next()
          await range.return?.()
          await range.return?.()
        }
      })
    })
    await isLeft
    t.equal(left, 1)
  }
})

t.test('what a read throws comes with its code, and is told', async (t) => {
  const { view, serve, failed } = remote(t)
  const damaged = new HostError('STORE_DAMAGED', 'not what was written')
  await serve({ ...never, get: () => Promise.reject(damaged) })
  await t.rejects(view.get(0, Buffer.from('k')), { code: 'STORE_DAMAGED', message: /not what/ })
  t.same(failed, ['STORE_DAMAGED'])
})
