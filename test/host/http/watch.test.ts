// A function that is watched holds a place among what waits as long as somebody reads, and no longer.
import t from 'tap'
import { until } from '../../support/until.js'
import { createFixture } from './fixture.js'

const headers = { accept: 'text/event-stream' }
const path = '/functions/counts'
const counts = { name: 'counts', inputs: ['clicks'] }

t.test('a HEAD is answered, and watches nothing', async (t) => {
  const { app, catalog, stopping } = createFixture(t, { env: { MILLRACE_LIMITS_MAX_WAITING: '1' } })
  catalog.fakes = [counts]
  for (let n = 0; n < 2; n += 1) {
    const response = await app.request(path, { method: 'HEAD', headers })
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), 'text/event-stream')
    t.equal(await response.text(), '')
  }
  t.equal(catalog.waits, 0)
  t.equal((await app.request('/functions/none', { method: 'HEAD', headers })).status, 404)
  const watched = await app.request(path, { headers })
  t.equal(watched.status, 200, 'there is room')
  stopping.abort()
})

for (const ended of ['the host stops', 'the client goes'] as const) {
  t.test(`one that reads nothing is given up when ${ended}`, async (t) => {
    const { app, catalog, stopping } = createFixture(t)
    catalog.fakes = [counts]
    const client = new AbortController()
    const response = await app.request(path, { headers, signal: client.signal })
    t.equal(response.status, 200)
    await until('it is watched', () => catalog.listeners.size === 1)
    for (let n = 0; n < 20; n += 1) {
      catalog.fakes = [{ ...counts, state: n % 2 === 0 ? 'halted' : 'running' }]
      catalog.announce()
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.ok(catalog.waits < 20, 'what is written is held up')
    if (ended === 'the host stops') stopping.abort()
    else client.abort()
    await until('nobody listens', () => catalog.listeners.size === 0)
  })
}
