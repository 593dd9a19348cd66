// A whole host that counts under load, and what is counted wrongly when all is over.
import { join } from 'node:path'
import type { Test } from 'tap'
import { testFolder } from '../folder.js'
import { HostUnderTest } from '../host.js'
import { until } from '../until.js'
import { brokersOf } from './client.js'
import { countingFunctions, type Load, wrongCounts } from './load.js'
import { ownName } from './shared.js'

const partitions = 3

/** Short, so that what is waited for comes soon. */
export const short = {
  MILLRACE_LIMITS_DRAIN_MS: '1000',
  MILLRACE_LOG_KAFKA_CONNECTION_TIMEOUT_MS: '1000',
  MILLRACE_LOG_KAFKA_REQUEST_TIMEOUT_MS: '2000',
  MILLRACE_LOG_KAFKA_DELIVERY_TIMEOUT_MS: '3000',
  MILLRACE_LOG_KAFKA_TRANSACTION_TIMEOUT_MS: '3000',
  MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: '3000',
  MILLRACE_LOG_KAFKA_HEARTBEAT_INTERVAL_MS: '200',
  MILLRACE_LOG_KAFKA_REBALANCE_TIMEOUT_MS: '4000',
}

export interface TrialOptions {
  /** By which its hosts come to the cluster, unless they are told otherwise. */
  readonly hostsBy: string
  /** By which it is looked what there is. */
  readonly addresses: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Trial {
  readonly namespace: string
  host(name: string, env?: Readonly<Record<string, string>>): HostUnderTest
  /** What is counted wrongly, once all is counted. */
  wrong(loads: readonly Load[], host: HostUnderTest): Promise<unknown>
}

export function trialOf(
  t: Test,
  name: string,
  { hostsBy, addresses, env: ofAll = {} }: TrialOptions,
): Trial {
  const namespace = `${ownName(name)}-`
  const root = testFolder(t)
  return {
    namespace,
    host(name, env = {}) {
      const host = new HostUnderTest(join(root, name), {
        functions: countingFunctions,
        env: {
          MILLRACE_LOG_BROKERS: hostsBy,
          MILLRACE_NAMESPACE: namespace,
          MILLRACE_LOG_PARTITIONS: String(partitions),
          ...ofAll,
          ...env,
        },
      })
      t.teardown(() => host.stop())
      return host
    },
    async wrong(loads, host) {
      const outputs = { topic: `${namespace}pages`, partitions }
      void host.host.failed.then((error) => t.fail(`the host has failed: ${error.message}`))
      const [first = ''] = addresses
      const brokers = brokersOf(t, first, { brokers: [...addresses] })
      const found = await wrongCounts(loads, host, brokers, outputs)
      return Object.fromEntries(Object.entries(found).filter(([, ids]) => ids.length > 0))
    },
  }
}

export const isRunning = async (host: HostUnderTest): Promise<void> => {
  await host.untilStatus('click-count', 'running')
  await host.untilStatus('page-count', 'running')
}

export const isReady = async (host: HostUnderTest): Promise<void> => {
  let last: unknown
  const isTrue = async () => {
    const { status, body } = await host.get('/readyz')
    last = body
    return status === 200
  }
  await until('it is ready', isTrue, () =>
    [JSON.stringify(last), ...host.lines.slice(-100)].join('\n'),
  )
}
