// TLS and SASL: all that a host does goes by them, and what is set wrongly is told at once.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { pipeline } from 'node:stream'
import t, { type Test } from 'tap'
import type { HostError } from '#host/errors.js'
import { openKafkaLog } from '#host/log/kafka/log.js'
import type { KafkaSettings } from '#host/log/kafka/settings.js'
import { locked, newAuthority } from '../test/support/kafka/certificates.js'
import { difference } from '../test/support/kafka/committed.js'
import {
  kafkaLog,
  kafkaSettings,
  ownNames,
  plainListener,
  recordOf,
  scramListener,
  tlsListener,
  wholeRound,
} from '../test/support/kafka/secure.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'

const authority = newAuthority('brokers')
const other = newAuthority('others')
const own = authority.issue({ name: 'broker', addresses: ['127.0.0.1'] })
const elsewhere = authority.issue({ name: 'elsewhere', hosts: ['kafka.example'] })
const expired = authority.issue({ name: 'broker', addresses: ['127.0.0.1'], days: -1 })
const visitor = authority.issue({ name: 'visitor' })
const stranger = other.issue({ name: 'stranger' })

const users = { alice: 'of alice', bob: 'of bob' }
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
const scram = mechanisms
  .slice(1)
  .flatMap((mechanism) => [
    '--add-scram',
    `${mechanism.toUpperCase()}=[name=alice,password=of alice]`,
  ])

/** After it a broker hangs up, unless one has shown anew who one is. kafkajs does that in its last 10 s. */
const sessionMs = 11_000

const broker = await ownBroker(t, {
  listeners: {
    TLS: 'SSL',
    MUTUAL: 'SSL',
    ELSEWHERE: 'SSL',
    EXPIRED: 'SSL',
    SASL: 'SASL_PLAINTEXT',
    SASLTLS: 'SASL_SSL',
    PLAIN: 'SASL_PLAINTEXT',
    BRIEF: 'SASL_PLAINTEXT',
  },
  format: scram,
  properties: {
    ...tlsListener('TLS', own, authority),
    ...tlsListener('MUTUAL', own, authority),
    'listener.name.mutual.ssl.client.auth': 'required',
    ...tlsListener('ELSEWHERE', elsewhere, authority),
    ...tlsListener('EXPIRED', expired, authority),
    ...tlsListener('SASLTLS', own, authority),
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...plainListener('SASL', users),
    ...scramListener('SASL'),
    ...plainListener('SASLTLS', users),
    ...scramListener('SASLTLS'),
    'listener.name.plain.sasl.enabled.mechanisms': 'PLAIN',
    ...plainListener('PLAIN', users),
    ...plainListener('BRIEF', users),
    ...scramListener('BRIEF'),
    'listener.name.brief.plain.connections.max.reauth.ms': `${sessionMs}`,
    'listener.name.brief.scram-sha-256.connections.max.reauth.ms': `${sessionMs}`,
  },
})

const ca = authority.cert
type Sasl = NonNullable<KafkaSettings['sasl']>
const alice: Sasl = { mechanism: 'plain', username: 'alice', password: 'of alice' }

/** Whatever is asked first is refused, before anybody would lose patience, with a message of the listener's address and this text. */
async function refused(
  t: Test,
  listener: string,
  more: Partial<KafkaSettings>,
  message: RegExp,
): Promise<void> {
  const address = broker.listener(listener)
  const log = kafkaLog(t, address, more)
  const name = ownName('clicks')
  const asks: Record<string, () => Promise<unknown>> = {
    describe: () => log.describe([name]),
    append: () => log.append([{ topic: name, partition: 0, key: null, value: null, timestamp: 0 }]),
  }
  for (const [what, ask] of Object.entries(asks)) {
    const since = performance.now()
    const error = (await ask().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )) as HostError | undefined
    t.equal(error?.code, 'BROKER_REFUSED', `${what}: ${error?.message}`)
    t.match(error?.message, message)
    t.ok(error?.message.includes(address), 'tells where')
    // Patience for what passes ends after 15 s or more.
    t.ok(performance.now() - since < 10_000, 'nobody waits for it')
  }
}

t.test('a whole round goes by TLS', async (t) => {
  await wholeRound(t, kafkaLog(t, broker.listener('TLS'), { ssl: { ca } }), ownNames())
  const elsewhere = { ca, servername: 'kafka.example' }
  await wholeRound(t, kafkaLog(t, broker.listener('ELSEWHERE'), { ssl: elsewhere }), ownNames())
  const anybody = { ssl: { rejectUnauthorized: false } }
  t.same(await kafkaLog(t, broker.listener('EXPIRED'), anybody).describe(['nothing']), new Map())
})

t.test('and so with a certificate of the host’s own, whose key has a passphrase', async (t) => {
  const { cert, key } = visitor
  const ssl = { ca, cert, key: locked(key, 'open sesame'), passphrase: 'open sesame' }
  await wholeRound(t, kafkaLog(t, broker.listener('MUTUAL'), { ssl }), ownNames())
})

for (const mechanism of mechanisms) {
  t.test(`a whole round goes by SASL ${mechanism}, without and with TLS`, async (t) => {
    const sasl = { ...alice, mechanism }
    await wholeRound(t, kafkaLog(t, broker.listener('SASL'), { sasl }), ownNames())
    const both = { sasl, ssl: { ca } }
    await wholeRound(t, kafkaLog(t, broker.listener('SASLTLS'), both), ownNames())
  })
}

t.test('a wrong password, user or mechanism never gets anything', async (t) => {
  // The right ones have been used before, by the same object.
  const right = { ...alice }
  t.same(
    await kafkaLog(t, broker.listener('SASL'), { sasl: right }).describe(['nothing']),
    new Map(),
  )
  t.strictSame(right, alice, 'what is given is left as it is')
  for (const mechanism of mechanisms) {
    const by = new RegExp(
      `does not let alice in by ${mechanism} \\(.+\\): look at log.sasl.username .*log.sasl.passwordEnv`,
    )
    await refused(t, 'SASL', { sasl: { ...right, mechanism, password: 'wrong' } }, by)
    await refused(t, 'SASLTLS', { sasl: { ...right, mechanism, password: '' }, ssl: { ca } }, by)
    const nobody = { ...right, mechanism, username: 'nobody' }
    await refused(t, 'SASL', { sasl: nobody }, /does not let nobody in by /)
  }
  // He has no password there.
  await refused(
    t,
    'SASL',
    { sasl: { mechanism: 'scram-sha-512', username: 'bob', password: users.bob } },
    /does not let bob in/,
  )
  await refused(
    t,
    'PLAIN',
    { sasl: { ...right, mechanism: 'scram-sha-256' } },
    /does not know SASL SCRAM-SHA-256, only PLAIN: set log.sasl.mechanism/,
  )
})

t.test('a listener that asks for more, or for less, than is set is told', async (t) => {
  await refused(
    t,
    'SASL',
    {},
    /wants to know who comes \(SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512\): set log.sasl/,
  )
  await refused(t, 'SASLTLS', { ssl: { ca } }, /wants to know who comes \(SASL .*\): set log.sasl/)
  await refused(
    t,
    'PLAINTEXT',
    { sasl: alice },
    /does not ask who comes \(no SASL\): remove log.sasl/,
  )
  await refused(t, 'TLS', { sasl: alice, ssl: { ca } }, /does not ask who comes/)
  await refused(t, 'TLS', {}, /speaks TLS: set log.ssl/)
  await refused(t, 'SASLTLS', { sasl: alice }, /speaks TLS: set log.ssl/)
  await refused(t, 'MUTUAL', {}, /speaks TLS: set log.ssl/)
  await refused(t, 'PLAINTEXT', { ssl: { ca } }, /speaks no TLS: remove log.ssl/)
  await refused(t, 'SASL', { sasl: alice, ssl: { ca } }, /speaks no TLS: remove log.ssl/)
})

t.test('certificates that are not trusted are told, by either side', async (t) => {
  const signedByNobody = /is signed by nobody whom this host trusts \(\w+\): set log.ssl.ca/
  await refused(t, 'TLS', { ssl: {} }, signedByNobody)
  await refused(t, 'TLS', { ssl: { ca: other.cert } }, signedByNobody)
  await refused(t, 'SASLTLS', { ssl: { ca: other.cert }, sasl: alice }, signedByNobody)
  await refused(
    t,
    'ELSEWHERE',
    { ssl: { ca } },
    /is for another host \(.*127\.0\.0\.1.*\): use a name that it has.*log.ssl.servername/,
  )
  await refused(
    t,
    'EXPIRED',
    { ssl: { ca } },
    /is not to be trusted \(CERT_HAS_EXPIRED\): renew it/,
  )
  const refusesUs =
    /refuses the TLS connection \(ERR_SSL_\w+\): if it asks for a certificate set log.ssl.cert and log.ssl.key/
  await refused(t, 'MUTUAL', { ssl: { ca } }, refusesUs)
  await refused(t, 'MUTUAL', { ssl: { ca, ...stranger } }, refusesUs)
})

t.test('what is no certificate or key is told when the log is opened', (t) => {
  const { cert, key } = visitor
  const lockedKey = locked(key, 'open sesame')
  const cases: [NonNullable<KafkaSettings['ssl']>, RegExp][] = [
    [{ ca: 'nothing' }, /^log.ssl.ca: found no certificate in PEM \(.+\); look at the file/],
    [{ cert: 'nothing', key }, /^log.ssl.cert: found no certificate in PEM/],
    [
      { cert, key: 'nothing' },
      /^log.ssl.key: found no private key in PEM, or its passphrase is missing/,
    ],
    [{ cert, key: lockedKey }, /^log.ssl.key: .*passphrase is missing \(log.ssl.passphraseEnv\)/],
    [{ cert, key: lockedKey, passphrase: 'wrong' }, /^log.ssl.key: .*the passphrase is not its/],
    [{ cert }, /^log.ssl.key is missing: with log.ssl.cert it is needed/],
    [{ key }, /^log.ssl.cert is missing/],
    [{ cert, key: stranger.key }, /^log.ssl.key: found not the key of log.ssl.cert/],
  ]
  for (const [ssl, message] of cases) {
    t.throws(() => openKafkaLog(kafkaSettings('127.0.0.1:1', { ssl })), {
      code: 'BAD_CONFIG',
      message,
    })
  }
  t.end()
})

t.test('a connection that is lost while one shows who one is is no refusal', async (t) => {
  const [host = '', port] = broker.listener('SASL').split(':')
  let cuts = 0
  const proxy = createServer((inner) => {
    const outer = connect(Number(port), host)
    let requests = 0
    inner.on('data', () => {
      requests += 1
      // After ApiVersions and SaslHandshake.
      if (requests !== 3 || cuts >= 8) return
      cuts += 1
      inner.destroy()
    })
    pipeline(inner, outer, inner, () => {})
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const at = proxy.address()
  if (at === null || typeof at === 'string') throw new Error('not a port')
  for (const mechanism of mechanisms) {
    cuts = 0
    const log = kafkaLog(t, `127.0.0.1:${at.port}`, { sasl: { ...alice, mechanism } })
    t.same(await log.describe(['nothing']), new Map())
    t.equal(cuts, 8)
  }
})

t.test('records go on when the session of a login ends', async (t) => {
  const rounds = (['plain', 'scram-sha-256'] as const).map(async (mechanism) => {
    const log = kafkaLog(t, broker.listener('BRIEF'), { sasl: { ...alice, mechanism } })
    const { input } = ownNames()
    await log.ensure([{ name: input, kind: 'stream', partitions: 1 }])
    const reader = log.reader()
    reader.assign([{ topic: input, partition: 0, offset: 0 }])
    const end = performance.now() + sessionMs + 2_000
    const sent: string[] = []
    const read: string[] = []
    while (performance.now() < end || read.length < sent.length) {
      const values = performance.now() < end ? [1, 2, 3].map((i) => `${sent.length}.${i}`) : []
      sent.push(...values)
      const appended = Promise.all(values.map((value) => log.append([recordOf(input, value)])))
      const batches = await reader.next()
      read.push(...batches.flatMap(({ records }) => records.map((record) => record.valueText())))
      await appended
    }
    t.equal(difference(read, sent), undefined)
  })
  await Promise.all(rounds)
})
