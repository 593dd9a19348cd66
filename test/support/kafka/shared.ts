// The broker that the tests of one run share, and names that are a test's own on it.
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { type Broker, startBroker } from './broker.js'
import { quick } from './java.js'

/** `npm run test:kafka` starts one broker for all files, and names it here. */
export const addressVariable = 'KAFKA_ADDRESS'

/** The address of the run's broker; of one of this file's own when the file is run alone. */
export async function brokerAddress(t: Test): Promise<string> {
  return process.env[addressVariable] ?? (await ownBroker(t)).address
}

/** A broker that this test may kill. */
export async function ownBroker(
  t: Test,
  options: Parameters<typeof startBroker>[0] = {},
): Promise<Broker> {
  const broker = await startBroker({ options: quick, ...options })
  t.teardown(() => broker.stop())
  return broker
}

/** A name that no other test uses: of a topic, a group, a transactional id. */
export const ownName = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`
