// The configuration of brokers for tests and for trying things out: one node that keeps everything once, or one of several; quick to recover.

/** What does not depend on the machine; compose.yaml has the same. */
export const brokerProperties = {
  'node.id': '1',
  'process.roles': 'broker,controller',
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'auto.create.topics.enable': 'false',
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  // A group's first member need not wait for others.
  'group.initial.rebalance.delay.ms': '0',
  // Tests have members expelled, and cannot wait for long.
  'group.min.session.timeout.ms': '1000',
  // What somebody who is gone has left open is given up soon after its time-out.
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
  // A broker that was killed may serve again when its former session has ended.
  'broker.session.timeout.ms': '2000',
  'broker.heartbeat.interval.ms': '500',
} as const

/** Nothing is compacted or deleted while a test looks: records with old timestamps may be at any time, once a marker of now has closed their segment. */
export const keepsAll = {
  'log.cleaner.backoff.ms': '86400000',
  'log.initial.task.delay.ms': '86400000',
} as const

/** Names of listeners to their protocols, such as `{ TLS: 'SASL_SSL' }`. */
export type Listeners = Readonly<
  Record<string, 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL'>
>

/** A node's number to the port of its controller, of all nodes of a cluster. Each is a broker and a controller. */
export type Voters = ReadonlyMap<number, number>

export interface PropertiesOptions {
  /** Of the logs. */
  readonly folder: string
  readonly node: number
  readonly voters: Voters
  /** Listener to port. */
  readonly ports: ReadonlyMap<string, number>
  readonly listeners: Listeners
  /** They win. */
  readonly further: Readonly<Record<string, string>>
}

// Certificates have several lines.
const escaped = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

/** The text of a server.properties. */
export function serverProperties(options: PropertiesOptions): string {
  const { folder, node, voters, ports, listeners, further } = options
  const clients = [...ports].map(([name, port]) => `${name}://127.0.0.1:${port}`)
  const protocols = Object.entries({ ...listeners, CONTROLLER: 'PLAINTEXT' })
  const all = {
    ...brokerProperties,
    'node.id': String(node),
    'log.dirs': folder,
    listeners: [...clients, `CONTROLLER://127.0.0.1:${voters.get(node)}`].join(','),
    'advertised.listeners': clients.join(','),
    'listener.security.protocol.map': protocols.map((each) => each.join(':')).join(','),
    'controller.quorum.voters': [...voters]
      .map(([node, port]) => `${node}@127.0.0.1:${port}`)
      .join(','),
    ...further,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${escaped(value)}\n`)
    .join('')
}

/** What a broker says while it runs: its start, and what goes wrong. */
export const logProperties = `status = off
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
`
