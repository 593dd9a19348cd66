// `npm run kafka`: an Apache Kafka on this machine until Ctrl-C.
import { parseArgs } from 'node:util'
import { startBroker } from './broker.js'
import { Missing } from './java.js'
import { kafkaVersion } from './libraries.js'

const help = `Starts an Apache Kafka of a single node on 127.0.0.1 and stops it at Ctrl-C.

  npm run kafka                         on port 9092, data in a temporary folder
  npm run kafka -- --port 0             on any free port
  npm run kafka -- --data .millrace/kafka   keeps its data, and takes it up again

KAFKA_CACHE names the folder that Kafka is fetched into, once (default: kafka-VERSION in millrace's folder of the user's caches).
`

const fail = (message: string, code = 1): never => {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

function read(): { port: number; data: string | undefined } {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '9092' },
      data: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    process.exit(0)
  }
  const port = Number(values.port)
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    throw new Error(`--port ${values.port}: a number up to 65535 is asked for, 0 for any free one`)
  }
  return { port, data: values.data }
}

const text = (error: unknown) => (error instanceof Error ? error.message : String(error))

const given = (() => {
  try {
    return read()
  } catch (error) {
    return fail(`${text(error)}\n\n${help}`, 64)
  }
})()

const stopped = new Promise<void>((resolve) => {
  // A terminal tells npm and this process, and npm hands its own on: several are one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
})

const starting = startBroker({
  port: given.port,
  ...(given.data === undefined ? {} : { data: given.data }),
  fetching: () => process.stderr.write('Fetching Apache Kafka by Maven, once …\n'),
})
const broker = await starting.catch((error: unknown) =>
  fail(text(error), error instanceof Missing ? 69 : 1),
)
const kept = given.data === undefined ? ', until Ctrl-C: what is to be kept takes --data DIR' : ''
process.stdout.write(`Apache Kafka ${kafkaVersion} serves at ${broker.address}${kept}\n`)
const reason = await Promise.race([stopped, broker.died()])
if (typeof reason === 'string') fail(reason)
await broker.stop()
process.exit(0)
