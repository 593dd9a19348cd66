// Writes host.config.schema.json and docs/configuration.md from the configuration's schema; run it after a change of
// host/config-schema.ts. With --check: writes nothing, and fails if they are behind.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import './build.mjs'

const { configJsonSchema } = await import('../dist/host/config-schema.js')
const { environmentName } = await import('../dist/host/config.js')
const schema = configJsonSchema()

const shown = (value) => (value === undefined ? '' : `\`${JSON.stringify(value)}\``)
const rows = (properties, path = []) =>
  Object.entries(properties)
    .filter(([name]) => name !== '$schema')
    .flatMap(([name, field]) => {
      const at = [...path, name]
      if (field.properties !== undefined) return rows(field.properties, at)
      const inner = field.anyOf?.find((one) => one.properties !== undefined)
      const further = inner === undefined ? [] : rows(inner.properties, at)
      const allowed =
        field.enum === undefined
          ? ''
          : ` One of ${field.enum.map((one) => `\`${one}\``).join(', ')}.`
      return [
        `| \`${at.join('.')}\` | ${shown(field.default ?? field.const)} | \`${environmentName(at)}\` | ${field.description ?? ''}${allowed} |`,
        ...further,
      ]
    })

const page = `# Configuration

\`host.config.json\` beside \`functions/\`. Every field is optional; those of one kind of log say so, and are ignored by the other. An environment variable wins over the file, a flag over both; arrays are
written as JSON in a variable, those of text also with commas between. An unknown field or a bad value ends the host with exit code 78, the field, what was found, and what is allowed.

| field | default | environment | what |
|---|---|---|---|
${rows(schema.properties).join('\n')}

Flags of \`dev\` and \`start\`: \`--root\`, \`--port\`, \`--host\`, \`--data\`, \`--log\`, \`--log-level\`, \`--no-supervisor\`; \`start\` also takes \`--watch\`.

## Processes and signals

\`dev\` and \`start\` run two processes: a small supervisor, and the host, which owns the data. A host that dies is started anew, at once if
it had been running for 10 s, else after a pause that grows from 100 ms to 10 s, and on the port that it had. A host that ends by itself, or that says
when it starts why it cannot (exit codes of [errors.md](errors.md)), is not: its exit code is the supervisor's. When the supervisor dies, the host flushes and ends.

A function with which the host dies \`supervisor.maxCrashes\` times within \`supervisor.crashWindowMs\` is quarantined ([QUARANTINED](errors.md#quarantined)): the next host
does not run that version, and all others. Whose it was is told by Node's diagnostic report, which a heap that is exhausted leaves in \`crash-reports\` of
the data folder (the newest ten are kept, without the environment); else by who was at work. The supervisor knows this for as long as it lives.

\`--no-supervisor\`, or \`supervisor.enabled\`, makes one process of it, for systemd, Kubernetes and the like. Where glibc is the C library, give it
\`MALLOC_TRIM_THRESHOLD_=131072\` and \`MALLOC_ARENA_MAX=2\` in its environment then, as the supervisor does, unless they are set: else it takes about half as much memory
again in the long run.

| signal, to the supervisor or to the host | |
|---|---|
| SIGTERM, SIGINT | flushes and ends within \`limits.stopMs\`, with exit code 0; a second one ends it at once (143, 130) |
| SIGHUP | \`start\` loads the function files that have changed, come or gone; what is broken is refused as any save. \`dev\` ends, as its terminal has |

## Kafka

\`\`\`json
{ "log": { "kind": "kafka", "brokers": ["kafka-1:9092", "kafka-2:9092"], "replication": 3 } }
\`\`\`

or \`--log kafka://kafka-1:9092,kafka-2:9092\`. See [kafka.md](kafka.md).

## Tokens

\`http.tokens\` names tokens whose secrets come from the environment alone:

\`\`\`json
{ "http": { "tokens": [{ "name": "shop", "env": "SHOP_TOKEN", "scopes": ["emit"], "names": ["click*"] }] } }
\`\`\`

\`Authorization: Bearer SECRET\`, 16 characters or more. Scopes: \`emit\` writes to streams, \`read\` reads tables, functions and topology, \`admin\` operates
functions. \`names\` are patterns of the streams, tables and functions that the token is good for. \`/healthz\` and \`/readyz\` need none. With no token
configured, whoever reaches the port may do everything; so a host without tokens listens on loopback addresses only.

## Several instances

Hosts on one Kafka cluster, with the same namespace and functions, share the partitions, and each answers for all of them: it asks the one that has a key ([http.md](http.md#several-instances)). For that they need to
reach each other, and to know each other:

- \`http.advertise\` is the URL of this host for the others, where \`http.host\` and \`http.port\` do not say it: behind a translated address, in a container. It has to lead to this host alone, not to a balancer before all of them.
- \`MILLRACE_CLUSTER_SECRET\`, or the variable that \`cluster.secretEnv\` names, has the same secret for all. It is needed by hosts that have tokens, so by all that listen on other than loopback addresses; one without it says so when it
  starts, and answers other instances' keys with [NOT_ROUTED](errors.md#not_routed). The secret itself is never sent: each request between instances, and each answer, is signed with it (HMAC-SHA256), so that whoever listens
  or poses as an instance can neither ask nor answer anything of his own. A request is good for 5 minutes, so the clocks of the hosts may differ by that; what changes something is done once in that time, and a read that was heard can be sent again to the same instance. Take a random secret.
  To change it, restart one instance after the other with the new one: until all have it, a key whose partition an instance with another secret has is 502 ([PEER_REFUSED](errors.md#peer_refused)) where it is asked of the others, and each of them says so in its log, once a minute.
  Keys and values go as they are: give the instances a network of their own, or TLS in front (\`https\` in \`http.advertise\`), where others may listen. Without a secret, on hosts without tokens, nothing is signed.
`

const outputs = [
  ['host.config.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
  ['docs/configuration.md', page],
]
for (const [name, text] of outputs) {
  const file = join(import.meta.dirname, '..', name)
  if (!process.argv.includes('--check')) await writeFile(file, text)
  else if ((await readFile(file, 'utf8')) !== text) {
    console.error(`${name} is behind host/config-schema.ts: run node scripts/config-schema.mjs`)
    process.exitCode = 1
  }
}
