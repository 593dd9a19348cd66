// The configuration: where each setting comes from, and that nothing misspelt goes unnoticed.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type ConfigSources, loadConfig } from '#host/config.js'
import { configJsonSchema } from '#host/config-schema.js'
import { HostError } from '#host/errors.js'
import { findJsonFault, memberText } from '#host/json-scan.js'
import { nearest } from '#host/nearest.js'
import { testFolder } from '../support/folder.js'

const rootOf = (t: Test, file?: unknown): string =>
  testFolder(
    t,
    file === undefined
      ? {}
      : { 'host.config.json': typeof file === 'string' ? file : JSON.stringify(file) },
  )

/** The error of a configuration that is refused. */
function refusal(sources: ConfigSources): HostError {
  try {
    loadConfig(sources)
  } catch (error) {
    if (error instanceof HostError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

t.test('without a file everything has its default, and folders are absolute', (t) => {
  const root = rootOf(t)
  const config = loadConfig({ root })
  t.match(config, {
    root,
    namespace: '',
    functions: join(root, 'functions'),
    data: join(root, '.millrace'),
    http: { host: '127.0.0.1', port: 7420, tokens: [] },
    log: { kind: 'embedded', brokers: [], partitions: 4, sync: false, createTopics: true },
    flush: { intervalMs: 100, maxIntervalMs: 1000, maxBytes: 16_777_216 },
    cache: { maxBytes: 67_108_864 },
    limits: { maxBodyBytes: 8_388_608, maxKeyBytes: 4096, maxLines: 100_000, stopMs: 10_000 },
    logging: { level: 'info', format: 'auto' },
  })
  t.ok(
    Object.isFrozen(config) && Object.isFrozen(config.http) && Object.isFrozen(config.http.tokens),
  )
  t.end()
})

t.test('flags win over the environment, the environment over the file', (t) => {
  const root = rootOf(t, {
    $schema: './x.json',
    http: { port: 1 },
    data: 'd',
    log: { partitions: 8 },
  })
  const env = { MILLRACE_HTTP_PORT: '2', MILLRACE_LOG_SYNC: 'true', MILLRACE_DATA: '/abs' }
  t.match(loadConfig({ root }), {
    http: { port: 1 },
    data: join(root, 'd'),
    log: { partitions: 8 },
  })
  t.match(loadConfig({ root, env }), {
    http: { port: 2 },
    data: '/abs',
    log: { partitions: 8, sync: true },
  })
  t.match(loadConfig({ root, env, flags: { port: '3', logLevel: 'debug' } }), {
    http: { port: 3 },
    logging: { level: 'debug' },
  })
  t.match(
    loadConfig({ root, env: { MILLRACE_HTTP_PORT: '' } }),
    { http: { port: 1 } },
    'an empty variable is none',
  )
  t.end()
})

t.test('what is wrong is named with its source, what was found and what is allowed', (t) => {
  const cases: [
    file: unknown,
    env: Record<string, string>,
    flags: ConfigSources['flags'],
    message: RegExp,
  ][] = [
    [
      { http: { prot: 1 } },
      {},
      {},
      /http\.prot \(.*host\.config\.json\): no such field; did you mean "port"\?/,
    ],
    [{ zzzzzz: 1 }, {}, {}, /zzzzzz .*: no such field; known are .*namespace/],
    [
      { http: { port: '80' } },
      {},
      {},
      /http\.port .*: found "80"; allowed is a value of type number/,
    ],
    [
      { http: 5 },
      { MILLRACE_HTTP_PORT: '1' },
      {},
      /http .*: found 5; allowed is a value of type object/,
    ],
    [{ namespace: 'a/b' }, {}, {}, /namespace .*: found "a\/b"; may have letters/],
    [
      {},
      { MILLRACE_HTTP_PORT: '99999' },
      {},
      /http\.port \(MILLRACE_HTTP_PORT\): found 99999; the most .* 65535/,
    ],
    [{}, { MILLRACE_HTTP_PORT: 'x' }, {}, /http\.port \(MILLRACE_HTTP_PORT\): found "x"/],
    [{}, { MILLRACE_LOG_SYNC: 'maybe' }, {}, /log\.sync \(MILLRACE_LOG_SYNC\): found "maybe"/],
    [
      {},
      { MILLRACE_HTTP_TOKENS: '[' },
      {},
      /http\.tokens \(MILLRACE_HTTP_TOKENS\): not JSON at character 2/,
    ],
    [
      {},
      { MILLRACE_HTP_PORT: '1' },
      {},
      /MILLRACE_HTP_PORT \(environment\): .*did you mean MILLRACE_HTTP_PORT\?/,
    ],
    [{}, {}, { port: '1.5' }, /http\.port \(--port\): found 1\.5; allowed is a whole number/],
    [
      {},
      {},
      { logLevel: 'inof' },
      /logging\.level \(--log-level\): found "inof"; .*did you mean "info"\?/,
    ],
    [
      { http: { tokens: [{ name: 'a', env: 'X', scopes: ['reed'] }] } },
      {},
      {},
      /http\.tokens\.0\.scopes\.0 .*did you mean "read"/,
    ],
    [
      { http: { tokens: [{ nme: 'a', env: 'X', scopes: ['read'] }] } },
      {},
      {},
      /http\.tokens\.0\.nme .*did you mean "name"/,
    ],
    ['[]', {}, {}, /found \[\], allowed is an object/],
    ['{\n  "http": {,}\n}', {}, {}, /host\.config\.json:2:12: not JSON: ","/],
    [{ log: { kind: 'kafka' } }, {}, {}, /log\.brokers .*found nothing; a log on Kafka needs some/],
    [{ log: { kind: 'kafak' } }, {}, {}, /log\.kind .*did you mean "kafka"\?/],
    [{ log: { brokers: ['a'] } }, {}, {}, /log\.brokers\.0 .*found "a"; has to be "host:port"/],
    [{}, {}, { log: 'kafka://' }, /log\.brokers\.0 \(--log\): found ""; has to be "host:port"/],
    [{}, {}, { log: 'kafka//a:1' }, /log\.kind \(--log\): found "kafka\/\/a:1"; allowed is/],
    [
      {},
      { MILLRACE_LOG_BROKERS: 'a:1,b' },
      {},
      /log\.brokers\.1 \(MILLRACE_LOG_BROKERS\): found "b"/,
    ],
    [
      { log: { brokers: ['a:1'], ssl: { caa: 'x' } } },
      {},
      {},
      /log\.ssl\.caa .*: no such field; did you mean "ca"\?/,
    ],
    [{ log: { ssl: 'yes' } }, {}, {}, /log\.ssl .*: found "yes"; allowed is boolean or object/],
    [
      { log: { brokers: ['a:1'], ssl: { ca: 'none.pem' } } },
      {},
      {},
      /log\.ssl\.ca: .*none\.pem cannot be read/,
    ],
    [
      { log: { brokers: ['a:1'], sasl: { mechanism: 'plain', username: 'u', password: 'p' } } },
      {},
      {},
      /log\.sasl\.password .*: no such field; known are mechanism, username, passwordEnv/,
    ],
    [
      { log: { brokers: ['a:1'], sasl: { mechanism: 'plain', username: 'u' } } },
      {},
      {},
      /log\.sasl\.passwordEnv: the environment variable MILLRACE_LOG_SASL_PASSWORD is not set/,
    ],
    [{ log: { replication: 0 } }, {}, {}, /log\.replication .*found 0; may be -1, or 1 and more/],
    [
      { log: { brokers: ['a:1'], kafka: { sessionTimeoutMs: 250 } } },
      {},
      {},
      /log\.kafka\.heartbeatIntervalMs .*found 100; .* a third of/,
    ],
    [
      { log: { brokers: ['a:1'] }, limits: { drainMs: 5_000 } },
      {},
      {},
      /log\.kafka\.rebalanceTimeoutMs .*more than limits\.drainMs \(5000\) twice/,
    ],
  ]
  for (const [file, env, flags = {}, message] of cases) {
    t.match(
      refusal({ root: rootOf(t, file), env, flags }),
      { code: 'BAD_CONFIG', message },
      String(message),
    )
  }
  t.end()
})

t.test('all problems are listed at once', (t) => {
  const { message } = refusal({
    root: rootOf(t, { http: { port: -1 }, flush: { intervalMs: 0 }, nope: 1 }),
  })
  for (const path of ['http.port', 'flush.intervalMs', 'nope']) t.match(message, path)
  t.end()
})

t.test('variables that Kubernetes makes of a service of the same name are no mistake', (t) => {
  const env = {
    MILLRACE_SERVICE_HOST: '10.0.0.1',
    MILLRACE_PORT: 'tcp://10.0.0.1:80',
    MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
  }
  t.match(loadConfig({ root: rootOf(t), env }), { http: { port: 7420 } })
  t.end()
})

t.test('secrets come from the environment only, and are not kept', (t) => {
  const secret = 'a-secret-of-some-length'
  const token = { name: 'ci', env: 'MILLRACE_CI_TOKEN', scopes: ['emit'], names: ['click-*'] }
  const root = rootOf(t, { http: { tokens: [token] } })
  const config = loadConfig({ root, env: { MILLRACE_CI_TOKEN: secret } })
  t.match(config.http.tokens, [
    { name: 'ci', scopes: ['emit'], names: ['click-*'], hash: /^[0-9a-f]{64}$/ },
  ])
  t.notMatch(JSON.stringify(config), secret)
  for (const [value, message] of [
    [undefined, /MILLRACE_CI_TOKEN is not set/],
    ['', /is not set or empty/],
    ['short', /has 5 characters; a secret needs 16/],
  ] as const) {
    t.match(refusal({ root, env: { MILLRACE_CI_TOKEN: value } }), { code: 'BAD_CONFIG', message })
  }
  const twice = rootOf(t, { http: { tokens: [token, { ...token, name: 'other' }] } })
  t.match(refusal({ root: twice, env: { MILLRACE_CI_TOKEN: secret } }), {
    message: /same secret as token "ci"/,
  })
  t.end()
})

t.test('instances: the secret they share, and where each is reached', (t) => {
  const secret = 'a-secret-of-the-cluster'
  const root = rootOf(t)
  t.strictSame(loadConfig({ root }).cluster, { credential: undefined, timeoutMs: 5000 })
  const config = loadConfig({ root, env: { MILLRACE_CLUSTER_SECRET: secret } })
  t.match(config.cluster, { credential: /^[0-9a-f]{64}$/ })
  t.notMatch(JSON.stringify(config), secret)
  t.match(refusal({ root, env: { MILLRACE_CLUSTER_SECRET: 'short' } }), {
    code: 'BAD_CONFIG',
    message: /cluster\.secretEnv: MILLRACE_CLUSTER_SECRET has 5 characters; a secret needs 16/,
  })

  const env = { MILLRACE_HTTP_ADVERTISE: 'https://one.example' }
  t.equal(loadConfig({ root, env }).http.advertise, 'https://one.example')
  for (const wrong of [
    'one.example:7420',
    'http://one.example/path',
    'ftp://one',
    'http://u@one',
  ]) {
    t.match(refusal({ root, env: { MILLRACE_HTTP_ADVERTISE: wrong } }), {
      message: /http\.advertise \(MILLRACE_HTTP_ADVERTISE\).*has to be "http:\/\/host:port"/,
    })
  }
  const own = loadConfig({
    root: rootOf(t, { cluster: { secretEnv: 'OWN', timeoutMs: 100 } }),
    env: { OWN: secret },
  })
  t.strictSame(own.cluster, { ...config.cluster, timeoutMs: 100 })
  t.end()
})

t.test('a list of brokers makes it Kafka, unless the kind says otherwise', (t) => {
  const brokers = ['a:9092', 'b.example:9093']
  const root = rootOf(t, { log: { brokers } })
  t.match(loadConfig({ root }).log, { kind: 'kafka', brokers })
  t.match(loadConfig({ root, flags: { log: 'embedded' } }).log, { kind: 'embedded', brokers })
  t.match(loadConfig({ root, flags: { log: 'kafka://c:1,d:2' } }).log, {
    kind: 'kafka',
    brokers: ['c:1', 'd:2'],
  })
  const env = { MILLRACE_LOG_BROKERS: 'e:1, f:2' }
  t.match(loadConfig({ root: rootOf(t), env }).log, { kind: 'kafka', brokers: ['e:1', 'f:2'] })
  t.end()
})

t.test('what brokers are reached by is read from files and the environment', (t) => {
  const root = testFolder(t, {
    'ca.pem': 'CA',
    'host.pem': 'HOST',
    'host.key': 'KEY',
    'host.config.json': JSON.stringify({
      log: {
        brokers: ['a:9093'],
        ssl: { ca: 'ca.pem', cert: 'host.pem', key: 'host.key', passphraseEnv: 'KEY_WORDS' },
        sasl: { mechanism: 'scram-sha-256', username: 'shop' },
      },
    }),
  })
  const env = { KEY_WORDS: 'open sesame', MILLRACE_LOG_SASL_PASSWORD: 'secret' }
  const { log } = loadConfig({ root, env })
  t.strictSame(log.ssl, {
    rejectUnauthorized: true,
    ca: 'CA',
    cert: 'HOST',
    key: 'KEY',
    passphrase: 'open sesame',
  })
  t.strictSame(log.sasl, { mechanism: 'scram-sha-256', username: 'shop', password: 'secret' })
  t.match(
    loadConfig({ root: rootOf(t, { log: { brokers: ['a:1'], ssl: true } }) }).log.ssl,
    { rejectUnauthorized: true },
    'true stands for the defaults',
  )
  const fromEnv = { MILLRACE_LOG_BROKERS: 'a:1', MILLRACE_LOG_SSL: 'true' }
  t.match(
    loadConfig({
      root: rootOf(t),
      env: {
        ...fromEnv,
        MILLRACE_LOG_SSL_SERVERNAME: 'b',
        MILLRACE_LOG_SSL_REJECT_UNAUTHORIZED: '0',
      },
    }).log.ssl,
    { rejectUnauthorized: false, servername: 'b' },
    'one by one from the environment',
  )
  const local = loadConfig({ root, env: {}, flags: { log: 'embedded' } }).log
  t.notOk(local.sasl ?? local.ssl, 'without Kafka no secret is asked for')
  t.end()
})

t.test('an address that others can reach needs a token', (t) => {
  const root = rootOf(t)
  for (const host of ['0.0.0.0', '::', '192.168.0.1', 'example.org']) {
    t.match(refusal({ root, flags: { host } }), { code: 'TOKENS_REQUIRED' }, host)
  }
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
    t.equal(loadConfig({ root, flags: { host } }).http.host, host)
  }
  const tokens = JSON.stringify([{ name: 'a', env: 'A', scopes: ['read'] }])
  const env = { MILLRACE_HTTP_TOKENS: tokens, A: '0123456789abcdef' }
  t.equal(loadConfig({ root, env, flags: { host: '0.0.0.0' } }).http.host, '0.0.0.0')
  t.end()
})

t.test('host.config.schema.json is current (else: node scripts/config-schema.mjs)', (t) => {
  const committed: unknown = JSON.parse(
    readFileSync(join(process.cwd(), 'host.config.schema.json'), 'utf8'),
  )
  t.same(committed, JSON.parse(JSON.stringify(configJsonSchema())))
  t.end()
})

t.test('a fault in JSON is found wherever JSON.parse finds one, and nowhere else', (t) => {
  const texts = [
    '{}',
    '[]',
    ' [1, -2.5e+3, "\\u00e9\\n", true, null, {"a":{"b":[]}}] ',
    '"\u2028"',
    '0',
    '{"a":}',
    '{"a":1,}',
    '[1 2]',
    '[,]',
    'nul',
    '"a\nb"',
    '',
    '{"a":"\\x"}',
    '1 2',
    '01',
    '-',
    '1.',
    '{a:1}',
    '{"a":1',
    '{"a"}',
    "'a'",
    '[1]]',
    '"\\u12"',
    '"',
    '\u00a01',
  ]
  for (const [index, text] of texts.entries()) {
    let isRight = true
    try {
      JSON.parse(text)
    } catch {
      isRight = false
    }
    t.equal(findJsonFault(text) === undefined, isRight, `text ${index}`)
  }
  t.match(findJsonFault('{\n "a": [1,\n  x]}'), { line: 3, column: 3, position: 14 })
  t.match(findJsonFault('['.repeat(100_000)), { position: 100_000 }, 'depth is no danger')
  t.equal(
    memberText('{"a":{"value":1}, "value" : 12345678901234567890 }', 'value'),
    '12345678901234567890',
  )
  t.equal(memberText('{"value":1,"val\\u0075e":[2]}', 'value'), '[2]', 'the last one counts')
  t.equal(memberText('[]', 'value'), undefined)
  t.end()
})

t.test('a hint is given for near names only', (t) => {
  t.equal(nearest('prot', ['port', 'host']), 'port')
  t.equal(nearest('partitons', ['partitions', 'sync']), 'partitions')
  t.equal(nearest('x', ['port', 'host']), undefined)
  t.equal(nearest('anything', ['port']), undefined)
  t.end()
})
