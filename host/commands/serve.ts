// The commands `dev` and `start`: run the host, or the supervisor that runs it, until a signal.
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { banner, summary } from '../banner.js'
import { type Config, type ConfigFlags, loadConfig } from '../config.js'
import { asHostError, HostError } from '../errors.js'
import type { RunningHost } from '../host.js'
import { createLogger, isPretty, type Logger } from '../logger.js'
import { sayRunning, sayStopped } from '../running.js'
import { onStopSignals, type StopSignal, signalExitCode } from '../signals.js'
import { linkToSupervisor } from '../supervisor/link.js'
import type { FunctionVitals, SupervisedStart } from '../supervisor/messages.js'
import { reportFatalErrors } from '../supervisor/reports.js'
import { supervise } from '../supervisor/supervisor.js'
import { end, internalError, isFinalExit } from './exit.js'
import { nonEmpty } from './option.js'
import { version } from './version.js'

interface ServeFlags extends Omit<ConfigFlags, 'supervisor'> {
  readonly root: string
  readonly watch?: boolean
  /** False: `--no-supervisor`. */
  readonly supervisor: boolean
  /** Given by the supervisor to the host that it starts. */
  readonly supervised?: string
}

interface Serving {
  readonly config: Config
  readonly watch: boolean
  readonly isDev: boolean
  readonly logger: Logger
}

export function addServe(program: Command, ended: (code: number) => void): void {
  const command = (name: string, description: string, example: string) =>
    program
      .command(name)
      .description(description)
      .option('--root <dir>', 'the folder that has functions/ and host.config.json', '.')
      .option('--port <n>', 'the port to listen on; 0: any that is free', nonEmpty)
      .option('--host <address>', 'the address to listen on', nonEmpty)
      .option('--data <dir>', 'the folder for log and tables', nonEmpty)
      .option(
        '--log <log>',
        'where streams are kept: embedded, or kafka://host:port[,host:port]',
        nonEmpty,
      )
      .option('--log-level <level>', 'trace, debug, info, warn, error or silent', nonEmpty)
      .option('--no-supervisor', 'run in one process, which nothing starts anew when it dies')
      .addOption(new Option('--supervised <start>').hideHelp())
      .addHelpText('after', `\nExample:\n  $ ${example}`)

  command('dev', 'run the functions and follow what is saved', 'millrace dev --root app').action(
    async (flags: ServeFlags) => {
      ended(await serve({ ...flags, watch: true }, true))
    },
  )
  command(
    'start',
    'run the functions as they are',
    'millrace start --root app --port 8080 --data /var/lib/app',
  )
    .option('--watch', 'follow what is saved, as dev does')
    .action(async (flags: ServeFlags) => {
      ended(await serve(flags, false))
    })
}

async function serve(flags: ServeFlags, isDev: boolean): Promise<number> {
  const { root, watch = false, supervisor, supervised, ...settings } = flags
  const start: SupervisedStart | undefined =
    supervised === undefined ? undefined : JSON.parse(supervised)
  const config = loadConfig({
    root,
    env: process.env,
    flags: {
      ...settings,
      // A folder on the command line is meant from where one stands, one in the file from where the file is.
      ...(flags.data === undefined ? {} : { data: resolve(flags.data) }),
      ...(supervisor ? {} : { supervisor: 'false' }),
      ...(start?.port === undefined ? {} : { port: String(start.port) }),
    },
  })
  const logger = createLogger(config.logging)
  if (start !== undefined || !config.supervisor.enabled) {
    return await run({ config, watch, isDev, logger }, start)
  }
  return await supervise({
    module: fileURLToPath(new URL('../main.js', import.meta.url)),
    args: process.argv.slice(2),
    logger,
    stopSignals: stopSignals(isDev),
    stopMs: config.limits.stopMs,
    data: config.data,
    blame: config.supervisor,
    isAnyPort: config.http.port === 0,
    isFinal: isFinalExit,
  })
}

/** The host itself, in this process. */
async function run(
  { config, watch, isDev, logger }: Serving,
  start: SupervisedStart | undefined,
): Promise<number> {
  const uncaught = new Promise<number>((resolve) => {
    process.on('uncaughtException', (error) => {
      logger.error('an error that nobody caught: the host ends', { error })
      resolve(internalError)
    })
  })
  // Before the host starts: a signal that comes meanwhile counts, too.
  const signal = firstSignal(stopSignals(isDev), config.limits.stopMs)
  const link = start === undefined ? undefined : linkToSupervisor()
  const supervision = link && {
    quarantined: start?.quarantined ?? [],
    suspected: start?.suspected ?? [],
    vitals: (functions: readonly FunctionVitals[]) => link.tell({ kind: 'vitals', functions }),
    released: (name: string) => link.tell({ kind: 'released', function: name }),
  }
  if (supervision !== undefined) reportFatalErrors(config.data)
  const orphaned = link?.orphaned.then(() => {
    logger.error('the supervisor is gone: the host ends')
    limit(config.limits.stopMs, 1)
  })
  const toStop = new AbortController()
  const stopped = Promise.race([signal, orphaned ?? signal]).then(() => {
    toStop.abort(new HostError('STOPPING', 'the host stops before it has started'))
    return 0
  })
  // Loaded here: help, version and a wrong configuration have no need of the host.
  const running = import('../host.js').then(({ startHost }) =>
    startHost({ config, watch, logger, supervision, signal: toStop.signal }),
  )
  // Before the host is there: a signal that comes meanwhile is taken up when it is.
  if (!isDev) process.on('SIGHUP', () => void reload(running, logger))
  const host = await Promise.race([running, uncaught]).catch((error: unknown) => {
    if (error === toStop.signal.reason) return 0
    throw error
  })
  if (typeof host === 'number') return host

  sayRunning(config.data, { pid: link === undefined ? process.pid : process.ppid, url: host.url })
  link?.tell({ kind: 'listening', port: Number(new URL(host.url).port) })
  announce(host, config, logger, isDev)
  const failed = host.failed.then((error) => {
    logger.error(`the host cannot go on: ${error.message}`, { error })
    return internalError
  })
  const ended = await Promise.race([stopped, failed, uncaught])
  // After an error nothing is sure to stop: it gets as long as a signal gives it.
  if (ended !== 0) limit(config.limits.stopMs, ended)
  logger.info('stopping')
  await host[Symbol.asyncDispose]()
  // After an error another one is started: whoever waits for it may go on waiting.
  if (ended === 0) sayStopped(config.data)
  logger.info('stopped')
  return ended
}

async function reload(running: Promise<RunningHost>, logger: Logger): Promise<void> {
  try {
    const host = await running
    logger.info('SIGHUP: loading what has changed')
    await host.reload()
  } catch (error) {
    logger.warn(`what has changed was not loaded: ${asHostError(error).message}`)
  }
}

function announce(host: RunningHost, config: Config, logger: Logger, isDev: boolean): void {
  if (isDev && isPretty(config.logging.format) && config.logging.level !== 'silent') {
    process.stdout.write(banner(version(), host.url, host.catalog))
    return
  }
  const { url, catalog } = host
  logger.info('listening', { url, pid: process.pid, version: version(), ...summary(catalog) })
}

/** A terminal that is closed ends `dev`; for `start`, SIGHUP means something else. */
const stopSignals = (isDev: boolean): readonly StopSignal[] =>
  isDev ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : ['SIGINT', 'SIGTERM']

/** Resolves at the first signal; from then on the time runs, and a second signal ends the process at once. */
function firstSignal(signals: readonly StopSignal[], stopMs: number): Promise<void> {
  return new Promise((resolve) => {
    onStopSignals(signals, {
      first: () => {
        limit(stopMs, 1)
        resolve()
      },
      second: (signal) => process.exit(signalExitCode(signal)),
    })
  })
}

/** Ends the process should it still be there after so long. */
function limit(stopMs: number, code: number): void {
  setTimeout(() => {
    process.stderr.write(
      `millrace: not stopped within ${stopMs} ms (limits.stopMs): ended as it is; nothing that was acknowledged is lost\n`,
    )
    void end(code)
  }, stopMs).unref()
}
