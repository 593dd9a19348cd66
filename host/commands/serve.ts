// The commands `dev` and `start`: run the host until a signal, or something without which it cannot go on.
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { banner, summary } from '../banner.js'
import { type Config, type ConfigFlags, loadConfig } from '../config.js'
import type { RunningHost } from '../host.js'
import { createLogger, isPretty, type Logger } from '../logger.js'
import { end, internalError } from './exit.js'
import { nonEmpty } from './option.js'
import { version } from './version.js'

interface ServeFlags extends ConfigFlags {
  readonly root: string
  readonly watch?: boolean
}

/** A terminal sends Ctrl-C to npm and to the host, and npm hands its own on: within this time it is one signal, not two. */
const oneInterruptMs = 500

export function addServe(program: Command, ended: (code: number) => void): void {
  const command = (name: string, description: string, example: string) =>
    program
      .command(name)
      .description(description)
      .option('--root <dir>', 'the folder that has functions/ and host.config.json', '.')
      .option('--port <n>', 'the port to listen on; 0: any that is free', nonEmpty)
      .option('--host <address>', 'the address to listen on', nonEmpty)
      .option('--data <dir>', 'the folder for log and tables', nonEmpty)
      .option('--log <log>', 'where streams are kept: embedded', nonEmpty)
      .option('--log-level <level>', 'trace, debug, info, warn, error or silent', nonEmpty)
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

async function serve(
  { root, watch = false, ...flags }: ServeFlags,
  isDev: boolean,
): Promise<number> {
  const config = loadConfig({
    root,
    env: process.env,
    // A folder on the command line is meant from where one stands, one in the file from where the file is.
    flags: { ...flags, ...(flags.data === undefined ? {} : { data: resolve(flags.data) }) },
  })
  const logger = createLogger(config.logging)
  const uncaught = new Promise<number>((resolve) => {
    process.on('uncaughtException', (error) => {
      logger.error('an error that nobody caught: the host ends', { error })
      resolve(internalError)
    })
  })
  // Before the host starts: a signal that comes meanwhile counts, too.
  const signal = firstSignal(config.limits.stopMs)
  // Loaded here: help, version and a wrong configuration have no need of the host.
  const { startHost } = await import('../host.js')
  const running = startHost({ config, watch, logger })
  const host = await Promise.race([running, uncaught])
  if (typeof host === 'number') return host

  announce(host, config, logger, isDev)
  const failed = host.failed.then((error) => {
    logger.error(`the host cannot go on: ${error.message}`, { error })
    return internalError
  })
  const ended = await Promise.race([signal.then(() => 0), failed, uncaught])
  // After an error nothing is sure to stop: it gets as long as a signal gives it.
  if (ended !== 0) limit(config.limits.stopMs, ended)
  logger.info('stopping')
  await host[Symbol.asyncDispose]()
  logger.info('stopped')
  return ended
}

function announce(host: RunningHost, config: Config, logger: Logger, isDev: boolean): void {
  if (isDev && isPretty(config.logging.format) && config.logging.level !== 'silent') {
    process.stdout.write(banner(version(), host.url, host.catalog))
    return
  }
  logger.info('listening', { url: host.url, version: version(), ...summary(host.catalog) })
}

/** Resolves at the first SIGTERM or SIGINT; from then on the time runs, and a second signal ends the process at once. */
function firstSignal(stopMs: number): Promise<void> {
  return new Promise((resolve) => {
    let first: { readonly signal: string; readonly at: number } | undefined
    const received = (signal: 'SIGINT' | 'SIGTERM') => {
      if (first !== undefined) {
        const isSame = signal === 'SIGINT' && first.signal === 'SIGINT'
        if (isSame && performance.now() - first.at < oneInterruptMs) return
        process.exit(signal === 'SIGINT' ? 130 : 143)
      }
      first = { signal, at: performance.now() }
      limit(stopMs, 1)
      resolve()
    }
    process.on('SIGINT', received)
    process.on('SIGTERM', received)
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
