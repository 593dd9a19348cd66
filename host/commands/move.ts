// The command `move`: all of the embedded log to Apache Kafka. It takes the data folder as a host would, so none may run.
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../config.js'
import { HostError } from '../errors.js'
import { isFolder } from '../folder.js'
import { onStopSignals, signalExitCode } from '../signals.js'
import { Interrupted } from './exit.js'
import { MoveReport, showMove } from './move-report.js'
import { jsonOption, nonEmpty, rootOption } from './option.js'

interface MoveFlags {
  readonly root: string
  readonly to: string
  readonly data?: string
  readonly json?: boolean
}

/** Without any success: a broker that is started anew is back before. */
const patienceMs = 120_000

export function addMove(program: Command): void {
  const command = program
    .command('move')
    .description('move streams, tables and positions of the embedded log to Apache Kafka')
    .requiredOption('--to <url>', 'kafka://HOST:PORT, several brokers with a comma', kafkaUrl)
    .option('--data <dir>', 'the folder of log and tables', nonEmpty)
  jsonOption(rootOption(command))
    .addHelpText(
      'after',
      `
The host has to be stopped, and none may run there until the command says that it is done: one that is started before refuses. Everything
is read back and compared. Interrupted, at any moment, it can be run again, and goes on where it was. The embedded log stays as it is.
How the brokers are reached, and how topics are made, is as host.config.json and its environment variables have it (log.ssl, log.sasl,
log.replication, log.createTopics).

Example:
  $ millrace move --to kafka://127.0.0.1:9092`,
    )
    .action(move)
}

async function move(flags: MoveFlags): Promise<void> {
  const config = loadConfig({
    root: flags.root,
    env: process.env,
    flags: { log: flags.to, ...(flags.data === undefined ? {} : { data: flags.data }) },
  })
  const path = join(config.data, 'log')
  if (!(await isFolder(path))) {
    throw new HostError(
      'BAD_CONFIG',
      `there is no log in ${config.data}: no host has run on it, and there is nothing to move`,
    )
  }
  // Loaded here: most commands have no need of the logs.
  const { kafkaSettings, lockData, openEmbeddedAlone } = await import('../open-log.js')
  const { openKafkaLog } = await import('../log/kafka/log.js')
  const { membersOfGroups } = await import('../log/kafka/group-members.js')
  const { keepStreams } = await import('../log/kafka/retention.js')
  const { moveLog } = await import('../move/move.js')
  const json = flags.json ?? false
  const stop = new AbortController()
  const settings = kafkaSettings(config)
  const report = new MoveReport({ json, isTerminal: process.stderr.isTTY })
  // A host that runs on Kafka has this alone.
  await using _ = await lockData(config)
  await using source = await openEmbeddedAlone(config, (error) => stop.abort(error))
  await using target = openKafkaLog(settings)
  onStopSignals(['SIGINT', 'SIGTERM'], {
    first: () => stop.abort(new Interrupted()),
    second: (signal) => process.exit(signalExitCode(signal)),
  })
  try {
    const result = await moveLog({
      source,
      target,
      namespace: config.namespace,
      retentionMs: config.log.retentionMs,
      keep: (streams) => keepStreams(settings, streams),
      members: (groups) => membersOfGroups(settings, groups),
      signal: stop.signal,
      patienceMs,
      events: report,
      notice: (text) => report.notice(text),
    })
    report.end()
    showMove(result, { log: path, brokers: settings.brokers }, json)
  } catch (thrown) {
    report.end()
    if (thrown instanceof Interrupted || (thrown instanceof HostError && thrown.retryable)) {
      report.notice('run the same command again: it goes on where it was')
    }
    throw thrown
  }
}

function kafkaUrl(given: string): string {
  if (/^kafka:\/\/[^,/\s]+:\d+(,[^,/\s]+:\d+)*\/?$/.test(given)) return given
  throw new InvalidArgumentError('kafka://HOST:PORT is wanted.')
}
