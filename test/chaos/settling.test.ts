// What is asked of the hosts when all is calm.
import { createServer } from 'node:http'
import t, { type Test } from 'tap'
import { ask } from '#chaos/client.js'
import { unreflected } from '#chaos/settling.js'

/** A host that answers what the test says. */
async function host(t: Test, statusOf: (url: URL) => number) {
  const server = createServer(({ url = '' }, response) => {
    const status = statusOf(new URL(url, 'http://host'))
    response.writeHead(status).end(status === 200 ? '{}' : '{"error":{"code":"WAIT_TIMEOUT"}}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${Object(server.address()).port}`
  return { ask: async (path: string) => await ask(url + path) }
}

t.test('each token is asked for at the first table, the newest at the second', async (t) => {
  const tokens = new Map([['k1', Array.from({ length: 50 }, (_, n) => `token-${n}`)]])
  const found = async (lost: (url: URL) => boolean) =>
    await unreflected([await host(t, (url) => (lost(url) ? 504 : 200))], tokens)
  t.same(await found(() => false), [])
  const without = (table: string, token: string) => (url: URL) =>
    url.pathname.startsWith(`/views/${table}/`) && url.searchParams.getAll('after').includes(token)
  t.match(await found(without('count', 'token-3')), [/k1, 0 to 40: .*504/])
  t.match(await found(without('count', 'token-49')), [/k1, 40 to 50/])
  t.match(await found(without('sum', 'token-49')), [/k1 in sum, the newest: .*504/])
})
