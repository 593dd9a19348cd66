// The flights example on Kafka: the same lines as on the embedded log.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { brokerAddress } from '../test/support/kafka/shared.js'

const address = await brokerAddress(t)

/** What it prints, without how long it took. */
async function example(...flags: string[]): Promise<string[]> {
  const args = ['dist/examples/flights/run.js', ...flags]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout.split('\n').map((line) => line.replace(/ in [\d.]+ s$/, ''))
}

t.test('the flights example says the same on Kafka', async (t) => {
  const onKafka = await example('--log', `kafka://${address}`)
  const embedded = await example()
  t.match(onKafka.join('\n'), /Worst of 220 airports/)
  t.same(onKafka.slice(0, embedded.length - 1), embedded.slice(0, -1))
  t.match(onKafka.at(-2), /^Kept in topics that begin with flights-\w{8}-$/)
})
