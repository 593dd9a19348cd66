// Options that several commands have, and what a value of the command line has to be.
import { type Command, InvalidArgumentError } from 'commander'
import { configuredAddress } from '../config.js'
import { HostError } from '../errors.js'
import { HostClient } from './client.js'

export function nonEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.')
  return value
}

export function count(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('It is no whole number.')
  return Number(value)
}

/** An option that may be given several times. */
export const several = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  nonEmpty(value),
]

export interface HostFlags {
  readonly root: string
  readonly url?: string
  readonly retryFor: number
  readonly json?: boolean
}

export const rootOption = (command: Command): Command =>
  command.option('--root <dir>', 'the folder that has functions/ and host.config.json', '.')

export const jsonOption = (command: Command): Command =>
  command.option('--json', 'print JSON for programs, errors too')

/** Of a command that speaks to a host which runs. */
export const hostOptions = (command: Command): Command =>
  jsonOption(rootOption(command))
    .option('--url <url>', 'where the host is; else MILLRACE_URL, or as --root says', nonEmpty)
    .option('--retry-for <seconds>', 'how long a host that is busy is asked again', count, 30)

export function hostClient(flags: HostFlags, signal?: AbortSignal): HostClient {
  const { MILLRACE_TOKEN: token } = process.env
  return new HostClient({
    url: hostUrl(flags),
    token: token === '' ? undefined : token,
    patienceMs: flags.retryFor * 1000,
    ...(signal === undefined ? {} : { signal }),
  })
}

function hostUrl(flags: HostFlags): string {
  const given = flags.url ?? process.env.MILLRACE_URL
  if (given !== undefined && given !== '') {
    const isHttp = URL.canParse(given) && new URL(given).protocol === 'http:'
    if (isHttp) return given.replace(/\/+$/, '')
    throw new HostError(
      'BAD_CONFIG',
      `${JSON.stringify(given)} is no address of a host: http://127.0.0.1:7420 is one`,
    )
  }
  const { host, port } = configuredAddress({ root: flags.root, env: process.env })
  if (port === 0) {
    throw new HostError(
      'BAD_CONFIG',
      'http.port is 0, so that the port is known to the host alone: give --url with what it printed',
    )
  }
  // Listening on every address, it listens on the loopback one.
  const name = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
