// A host under test as a process of its own: the composition that ships, with points around its ports.
import { loadConfig } from '#host/config.js'
import { levelPorts } from '#host/functions/ports.js'
import { startHost } from '#host/host.js'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import { Failpoints } from './failpoints.js'
import { pointed } from './pointed.js'

const [, , command, , root = '.', , data] = process.argv
const points = new Failpoints('main')
const config = loadConfig({
  root,
  env: process.env,
  flags: { port: '0', ...(data === undefined ? {} : { data }) },
})
const logger = createLogger({ level: 'info', format: 'json' })
const steps: Readonly<Record<string, string>> = { append: 'main/append', ensure: 'main/topics' }
const pointedLog = (log: Log) => pointed(log, points, { name: (method) => steps[method] })
// Loaded by those who use it: kafkajs takes its time.
const kafka = config.log.kind === 'kafka' ? await import('#host/log/kafka/log.js') : undefined
const host = await startHost({
  config,
  watch: command === 'dev',
  logger,
  ports: {
    openLog: async (options) =>
      pointedLog(
        await openEmbeddedLog({
          ...options,
          threadEntry: new URL('./log-thread.js', import.meta.url),
        }),
      ),
    ...(kafka === undefined
      ? {}
      : { openKafkaLog: (...given) => pointedLog(kafka.openKafkaLog(...given)) }),
    functions: {
      ...pointed({ openStore: levelPorts().openStore }, points, { name: () => 'main/store' }),
      threadEntry: new URL('./function-thread.js', import.meta.url),
    },
  },
})
process.once('SIGTERM', () => {
  void host[Symbol.asyncDispose]().then(() => process.exit(0))
})
void host.failed.then((error) => {
  logger.error(error.message, { error })
  process.exit(1)
})
logger.info('listening', { url: host.url })
