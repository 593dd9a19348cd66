// The log that the hosts of the bench run on: embedded, or a Kafka that is there, in namespaces of the run's own.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface BenchLog {
  /** Of Kafka. */
  readonly brokers?: readonly string[]
  /** In front of the topics of what is measured. */
  namespace(scope: string): string
  /** For a host; hosts of one scope have the same streams. */
  env(scope: string): Readonly<Record<string, string>>
  /** The process that owns a data folder. */
  owner(data: string): Promise<number>
}

/** `given`: as for `--log` of the command line. */
export function benchLog(given = 'embedded'): BenchLog {
  if (given === 'embedded') {
    return { namespace: () => '', env: () => ({}), owner: (data) => readPid(data, 'log') }
  }
  const [, list] = /^kafka:\/\/(.+)$/.exec(given) ?? []
  if (list === undefined) {
    throw new TypeError(
      `--log: found ${given}; allowed is embedded, or kafka://host:port[,host:port]`,
    )
  }
  const run = randomUUID().slice(0, 8)
  const namespace = (scope: string) => `bench-${run}-${scope}-`
  return {
    brokers: list.split(','),
    namespace,
    env: (scope) => ({ MILLRACE_LOG_BROKERS: list, MILLRACE_NAMESPACE: namespace(scope) }),
    owner: (data) => readPid(data, 'lock'),
  }
}

async function readPid(data: string, folder: string): Promise<number> {
  const [pid] = (await readFile(join(data, folder, 'owner.pid'), 'utf8')).split(' ')
  return Number(pid)
}
