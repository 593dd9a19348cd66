// Options that several commands have, and what a value of the command line has to be.

import { type Command, InvalidArgumentError } from 'commander'
import { configuredAddress } from '../config.js'
import { HostError } from '../errors.js'
import { isFunctionName } from '../functions/names.js'
import { whoRuns } from '../running.js'
import { type ClientOptions, HostClient } from './client.js'

export function nonEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('It is empty.')
  return value
}

export function count(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('It is no whole number.')
  return Number(value)
}

export function positive(value: string): number {
  if (count(value) === 0) throw new InvalidArgumentError('The least is 1.')
  return Number(value)
}

export function functionArgument(name: string): string {
  if (isFunctionName(name)) return name
  throw new InvalidArgumentError(
    'It is no name of a function: small letters, digits and "-", a letter first.',
  )
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
    .option('--url <url>', 'where the host is; else MILLRACE_URL, or as --root says', hostUrl)
    .option(
      '--retry-for <seconds>',
      'how long a host that is busy or started anew is asked again',
      count,
      30,
    )

export function hostClient(flags: HostFlags, signal?: AbortSignal): HostClient {
  return clientOf(hostAddress(flags), flags, signal)
}

/** Undefined: none is named, and none runs the data folder. */
export function runningHostClient(flags: HostFlags): HostClient | undefined {
  const address = namedAddress(flags) ?? addressOfRunning(configured(flags).data)
  return address && clientOf(address, flags)
}

type HostAddress = Pick<ClientOptions, 'url' | 'isKept'>

function clientOf(address: HostAddress, flags: HostFlags, signal?: AbortSignal): HostClient {
  const { MILLRACE_TOKEN: token } = process.env
  return new HostClient({
    ...address,
    token: token === '' ? undefined : token,
    patienceMs: flags.retryFor * 1000,
    ...(signal === undefined ? {} : { signal }),
  })
}

function hostAddress(flags: HostFlags): HostAddress {
  const named = namedAddress(flags)
  if (named !== undefined) return named
  const { host, port, data } = configured(flags)
  const running = addressOfRunning(data)
  if (running !== undefined) return running
  if (port !== 0) {
    return { url: fromHere(`http://${host.includes(':') ? `[${host}]` : host}:${port}`) }
  }
  throw new HostError(
    'HOST_UNREACHABLE',
    `nobody runs the data folder ${data}, and http.port is 0: start a host with millrace dev, or say where it is with --url`,
  )
}

const configured = ({ root }: HostFlags) => configuredAddress({ root, env: process.env })

function namedAddress({ url }: HostFlags): HostAddress | undefined {
  if (url !== undefined) return { url }
  const { MILLRACE_URL: variable } = process.env
  if (variable === undefined || variable === '') return undefined
  if (isHostUrl(variable)) return { url: withoutSlash(variable) }
  throw new HostError('BAD_CONFIG', `MILLRACE_URL: ${notHostUrl(variable)}`)
}

function addressOfRunning(data: string): HostAddress | undefined {
  const running = whoRuns(data)
  return running && { url: fromHere(running.url), isKept: () => whoRuns(data) !== undefined }
}

/** As an argument of the command line. */
function hostUrl(given: string): string {
  if (!isHostUrl(given)) throw new InvalidArgumentError(`It is ${notHostUrl(given)}.`)
  return withoutSlash(given)
}

const isHostUrl = (given: string): boolean =>
  URL.canParse(given) && new URL(given).protocol === 'http:'

const notHostUrl = (given: string): string =>
  `no address of a host: http://127.0.0.1:7420 is one, ${JSON.stringify(given)} is not`

const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

/** Listening on every address, it listens on the loopback one. */
const fromHere = (url: string): string =>
  url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
