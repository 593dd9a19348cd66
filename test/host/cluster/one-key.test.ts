// One key at any instance: through its owner, over changes of that, and refused where there is no telling.
import { createServer, type RequestListener } from 'node:http'
import t, { type Test } from 'tap'
import {
  credentialOf,
  got,
  type InstanceOptions,
  keyIn,
  proofOf,
  secret,
  startInstance,
  startPair,
  tell,
} from './two-instances.js'

const keys = ['ada', 'bob', 'carol', 'dave', 'eve', 'ü', '..', 'a|b', 'slash/key', '100%']
const of = (key: string) => `/views/counts/${encodeURIComponent(key)}`

/** `one` has 0 and 1, `two` the rest; each has the values of its own partitions, and old ones of the other's. */
async function pair(t: Test, options: InstanceOptions = {}) {
  const all = [...keys, ...[0, 1, 2, 3].map(keyIn)]
  return await startPair(t, all, (key, isOwn) => (isOwn ? `"new ${key}"` : '"old"'), options)
}

t.test('every key at every instance, byte for byte', async (t) => {
  const { one, two } = await pair(t)
  for (const instance of [one, two]) {
    for (const key of keys) {
      const { status, text, headers } = await got(of(key), instance)
      t.match({ status, text }, { status: 200, text: `"new ${key}"` }, `${key} at ${instance.name}`)
      t.equal(headers['content-type'], 'application/json')
    }
    const missing = Array.from({ length: 40 }, (_, n) => `m${n}`)
    for (const key of missing) {
      t.match(await got(of(key), instance), { status: 404, text: /KEY_NOT_FOUND/ }, key)
    }
  }
  const head = await got(of(keyIn(2)), one, { method: 'HEAD' })
  t.match(head, { status: 200, text: '', headers: { 'content-length': '8' } })
  t.match(await got(`${of(keyIn(2))}?x=1`, one), { status: 400 })
})

t.test('what an instance has not, and is asked for by another, goes no further', async (t) => {
  const { one, two } = await pair(t, { graceMs: 50 })
  // Each takes the other for the owner.
  tell(two, [one, 0, 1, 2, 3])
  two.owns()
  t.match(await got(of(keyIn(2)), one), {
    status: 503,
    headers: { 'retry-after': '1' },
    text: /RECOVERING.*the instance two.*partition 2 of the table .*counts.* is not here/,
  })
})

t.test('while a partition moves, a read waits for who has it next', async (t) => {
  const { one, two } = await pair(t, { graceMs: 60_000 })
  const three = await startInstance(t, 'three')
  await three.table('counts', { codec: 'json' }, { [keyIn(2)]: '"newest"' })
  two.owns(3)
  const asked = got(of(keyIn(2)), one)
  // It has been refused by then at least once.
  await refusedAt(two, 2)
  three.owns(2)
  tell(one, [one, 0, 1], [two, 3], [three, 2])
  t.match(await asked, { status: 200, text: '"newest"' })

  const own = got(of(keyIn(0)), three)
  three.owns(0, 2)
  t.match(await own, { status: 404 }, 'given to the one that was asked, meanwhile')
})

/** Resolves when it has looked whether the partition is its own, and it was not. */
async function refusedAt(
  { catalog }: Awaited<ReturnType<typeof startInstance>>,
  partition: number,
) {
  const isOwned = catalog.isOwned.bind(catalog)
  await new Promise<void>((resolve) => {
    catalog.isOwned = (name, asked) => {
      if (asked === partition && !isOwned(name, asked)) resolve()
      return isOwned(name, asked)
    }
  })
}

const passing = { status: 503, headers: { 'retry-after': '1' } }

/** One that listens, and answers as it is told; its address. */
async function listening(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${Object(server.address()).port}`
}

t.test('one that does not answer', async (t) => {
  const { one } = await pair(t, { graceMs: 50, timeoutMs: 100 })
  tell(one, [one, 0, 1], [{ name: 'two', url: await listening(t, () => {}) }, 2, 3])
  t.match(await got(of(keyIn(2)), one), { ...passing, text: /PEER_UNREACHABLE.*nothing within/ })
})

t.test('one that is none, or another, or gone', async (t) => {
  const { one, two } = await pair(t, { graceMs: 50 })
  const other = await listening(t, (_, response) => response.end('"wrong"'))
  const refusal = async (url: string) => {
    tell(one, [one, 0, 1], [{ name: 'two', url }, 2, 3])
    return await got(of(keyIn(2)), one)
  }
  t.match(await refusal(other), {
    ...passing,
    text: /PEER_UNREACHABLE.*no instance of millrace/,
  })
  // Another instance has come to the address of the one that was.
  tell(one, [one, 0, 1], [{ name: 'former', url: two.url }, 2, 3])
  t.match(await got(of(keyIn(2)), one), { ...passing, text: /RECOVERING.*another was asked/ })
  await two.stop()
  t.match(await refusal(two.url), { ...passing, text: /PEER_UNREACHABLE.*ECONNREFUSED/ })
  const stale = await got(`${of(keyIn(2))}?stale=ok`, one)
  t.match(stale, { status: 200, text: '"old"', headers: { 'millrace-stale': 'true' } })
})

t.test('the secret opens, and nothing else', async (t) => {
  const tokens = {
    MILLRACE_HTTP_TOKENS: JSON.stringify([{ name: 't', env: 'T', scopes: ['read'] }]),
    T: 'a-token-of-16-characters',
  }
  const { one, two } = await pair(t, { env: tokens, graceMs: 50 })
  const authorization = { headers: { authorization: `Bearer ${tokens.T}` } }
  t.match(await got(of(keyIn(2)), one), { status: 401 })
  t.match(await got(of(keyIn(2)), one, authorization), { status: 200, text: /new/ })

  const asIf = (proof: string) => ({ headers: { 'millrace-cluster': proof, 'millrace-to': 'two' } })
  t.match(await got(`/cluster${of(keyIn(2))}`, two), { status: 403 })
  t.match(await got(`/cluster${of(keyIn(2))}`, two, authorization), { status: 403 })
  const proofBy = (text: string, path: string) => proofOf(text, { method: 'GET', path, to: 'two' })
  const ofKey = `/cluster${of(keyIn(2))}`
  const others = [proofBy('another-secret-of-16', ofKey), proofBy(secret, `${ofKey}?stale=ok`)]
  for (const wrong of ['open', secret, credentialOf(secret) ?? '', ...others]) {
    t.match(await got(`/cluster${of(keyIn(2))}`, two, asIf(wrong)), {
      status: 403,
      text: /FORBIDDEN.*another than that of this instance/,
    })
  }
  const right = asIf(proofBy(secret, ofKey))
  t.match(await got(`/cluster${of(keyIn(2))}`, two, right), { status: 200, text: /new/ })
  t.match(await got(of(keyIn(2)), two, right), { status: 401 }, 'good for what is internal alone')

  const stranger = await startInstance(t, 'stranger', { secret: 'another-secret-of-16' })
  await stranger.table('counts', { codec: 'json' })
  stranger.owns()
  tell(stranger, [two, 2, 3])
  t.match(await got(of(keyIn(2)), stranger), { status: 502, text: /PEER_REFUSED.*same secret/ })
  const lines = [one, two, stranger].flatMap(({ lines }) => lines).join('\n')
  t.equal(lines.match(/what another instance asks is refused: the cluster secret/g)?.length, 1)
  t.notMatch(lines, secret)
  t.notMatch(lines, credentialOf(secret) ?? '-')
})

t.test('a table whose function could not be loaded here may be another’s to serve', async (t) => {
  const { one } = await pair(t)
  one.catalog.fakes = [...one.catalog.fakes, { name: 'broken', inputs: [], state: 'halted' }]
  t.match(await got('/views/broken/k', one), {
    ...passing,
    text: /RECOVERING.*could not be loaded/,
  })
  t.match(await got('/views/nothing/k', one), { status: 404, text: /UNKNOWN_TABLE/ })
})

t.test('without a secret: everything where there are no tokens, else its own alone', async (t) => {
  const { one } = await pair(t, { secret: '' })
  t.match(await got(of(keyIn(2)), one), { status: 200, text: /new/ })
})
