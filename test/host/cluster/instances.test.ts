// Which instance has what: as each says of itself, and as the group has it of one that is silent.
import t from 'tap'
import { Cluster } from '#host/cluster/cluster.js'
import { tellLeft } from '#host/cluster/tell-left.js'
import { functionDetail, functionTable } from '#host/commands/function-text.js'
import { credentialOf, got, type Instance, secret, startPair, tell } from './two-instances.js'

t.test('the functions with all instances that run them', async (t) => {
  const { one, two } = await startPair(t, [], () => '')
  one.catalog.fakes = [{ name: 'counts', inputs: [] }]
  two.catalog.fakes = [{ name: 'counts', inputs: [], state: 'recovering' }]
  const shown = async (at: Instance) => {
    const [all, one] = await Promise.all([got('/functions', at), got('/functions/counts', at)])
    const status = JSON.parse(one.text)
    t.strictSame(JSON.parse(all.text).functions[0].instances, status.instances)
    return status
  }
  t.match((await shown(one)).instances, [
    { instance: 'one', address: 'http://one', state: 'running', version: 'v1', error: null },
    { instance: 'two', address: two.url, state: 'recovering', version: 'v1', error: null },
  ])
  t.match(functionTable([await shown(one)], 100), /LAG HERE +RECORDS\/S HERE +INSTANCES\n.* 2$/)

  tell(one, [one, 0, 1], [two, 2, 3], [{ name: 'three', url: 'http://127.0.0.1:1' }, 4])
  const status = await shown(one)
  t.match(status.instances, { length: 3 })
  t.match(status.instances[1], {
    instance: 'three',
    state: null,
    version: null,
    partitions: [{ partition: 4, state: null }],
    error: { code: 'PEER_UNREACHABLE', message: /three does not answer/ },
  })
  t.match(
    functionTable([status], 100),
    /INSTANCES\n.* 2 of 3\n {2}three: PEER_UNREACHABLE: .*three does not answer/,
  )
  t.match(functionDetail(status), /three +http:\/\/127.0.0.1:1 +\S*PEER_UNREACHABLE\S* +- +4 +-$/m)
  const [own, ...others] = status.instances
  const partitions = [
    { partition: 0, state: 'running' },
    { partition: 3, state: 'standby' },
  ]
  const copying = { ...status, instances: [{ ...own, partitions }, ...others] }
  t.match(functionDetail(copying), /PARTITIONS +COPIES\none .* v1 +0 +3$/m)
})

t.test(
  'several versions while another is rolled out, and who is refused for its edges',
  async (t) => {
    const { one, two } = await startPair(t, [], () => '')
    one.catalog.fakes = [{ name: 'counts', inputs: [] }]
    two.catalog.fakes = [{ name: 'counts', inputs: [], state: 'halted', version: 'v2' }]
    tell(one, [one, 0, 1, 2, 3], [two], [{ name: 'three', url: 'http://127.0.0.1:1' }])
    one.catalog.peers = one.catalog.peers.map((peer) =>
      peer.instance === 'one' ? peer : { ...peer, version: 'v3', isRefused: true },
    )
    const status = JSON.parse((await got('/functions/counts', one)).text)
    t.match(status.instances, [
      { instance: 'one', version: 'v1', refused: false },
      { instance: 'three', version: 'v3', refused: true, error: { code: 'PEER_UNREACHABLE' } },
      { instance: 'two', state: 'halted', version: 'v2', refused: true, error: null },
    ])
    t.match(
      functionTable([status], 100),
      /INSTANCES\n.* 2 of 3, 1 halted, 3 versions\n {2}three: PEER_UNREACHABLE/,
    )
    t.match(functionDetail(status), /two +http\S+ +\S*halted\S* +v2, other edges +-/)
  },
)

t.test('what has gone wrong at another instance is told by each', async (t) => {
  const { one, two } = await startPair(t, [], () => '')
  const at = new Date(0).toISOString()
  const error = { code: 'HANDLER_FAILED', message: 'boom\nat a line', at }
  const other = { code: 'UNDECODABLE', message: 'no number', at }
  const table = async (functions: typeof one.catalog.fakes) => {
    two.catalog.fakes = [{ name: 'counts', inputs: [], state: 'halted', error }]
    one.catalog.fakes = functions
    const status = JSON.parse((await got('/functions/counts', one)).text)
    t.match(status.instances[1].error, { code: 'HANDLER_FAILED', message: 'boom\nat a line' })
    t.match(functionDetail(status), /two: HANDLER_FAILED: boom/)
    return functionTable([status], 100)
  }
  const running = { name: 'counts', inputs: [] }
  t.match(
    await table([running]),
    /INSTANCES\n.*running.* 2, 1 halted\n {2}two: HANDLER_FAILED: boom$/,
  )
  t.match(
    await table([{ ...running, state: 'halted', error: other }]),
    /2 halted\n {2}UNDECODABLE: no number\n {2}two: HANDLER_FAILED: boom$/,
  )
})

t.test('who has left a group tells those that stay in it', async (t) => {
  const { one, two } = await startPair(t, [], () => '')
  const admission = { credential: credentialOf(secret), isOpen: false }
  using three = new Cluster({
    instance: 'three',
    address: 'http://three',
    admission,
    timeoutMs: 5000,
  })
  const gone = { name: 'gone', url: 'http://127.0.0.1:1' }
  tell(one, [gone], [one, 0, 1], [two, 2, 3])
  const nameless = {
    instance: 'of an older version',
    address: undefined,
    partitions: [],
    standbys: [],
  }
  await tellLeft(three, 'a/b', [nameless, ...one.catalog.peers])
  t.same([one.catalog.heartbeats, two.catalog.heartbeats], [['a/b'], ['a/b']])

  using stranger = new Cluster({
    instance: 'stranger',
    address: 'http://stranger',
    admission: { credential: credentialOf('another secret of whoever'), isOpen: false },
    timeoutMs: 5000,
  })
  await tellLeft(stranger, 'c', one.catalog.peers)
  const unproven = { method: 'POST', headers: { 'millrace-asked': 'one' } }
  t.equal((await got('/cluster/functions/c/heartbeat', one, unproven)).status, 403)
  t.same(one.catalog.heartbeats, ['a/b'], 'nobody else')
})
