// Kafka's own command-line tools, and where they are on this machine.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findJava, type Java, type JavaRunOptions, runJava } from './java.js'
import { kafkaLibraries } from './libraries.js'

/** As Kafka's scripts are called. */
const tools = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
} as const

export type KafkaTool = keyof typeof tools

export interface Installation extends Java {
  /** Where this Java's archive of the classes is, once it was made. */
  readonly archivePath: string
}

/** `fetching` is called when Kafka has to be fetched first. */
export async function installation(fetching?: () => void): Promise<Installation> {
  const { command, version } = await findJava()
  const libraries = await kafkaLibraries(fetching)
  const archivePath = `${libraries}-java-${version}.jsa`
  const found = { command, classPath: join(libraries, '*'), archivePath }
  return existsSync(archivePath) ? { ...found, archive: archivePath } : found
}

/** Runs a tool on the broker, and returns what it prints; rejects with that if it fails. */
export async function runTool(
  address: string,
  name: KafkaTool,
  args: readonly string[],
  options: JavaRunOptions = {},
): Promise<string> {
  const java = await installation()
  return runJava(java, tools[name], ['--bootstrap-server', address, ...args], options)
}
