// The configuration: host.config.json, the environment and flags, in one frozen object of absolute paths.
import { readFileSync, statSync } from 'node:fs'
import { BlockList } from 'node:net'
import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { badConfig } from './bad-config.js'
import {
  type ConfigField,
  type ConfigInput,
  configFields,
  configSchema,
  knownNames,
} from './config-schema.js'
import { secretVariable } from './config-schema-cluster.js'
import { passwordVariable } from './config-schema-kafka.js'
import {
  type AccessToken,
  type ClusterConfig,
  type LogConfig,
  readCluster,
  readLog,
  readTokens,
} from './config-secrets.js'
import { HostError } from './errors.js'
import { findJsonFault } from './json-scan.js'
import { nearest } from './nearest.js'
import { isObject } from './object.js'

export interface Config
  extends Readonly<Omit<ConfigInput, '$schema' | 'http' | 'log' | 'cluster'>> {
  /** The folder of host.config.json, absolute. `functions` and `data` are absolute, too. */
  readonly root: string
  readonly http: {
    readonly host: string
    readonly port: number
    readonly advertise?: string | undefined
    readonly tokens: readonly AccessToken[]
  }
  readonly log: LogConfig
  readonly cluster: ClusterConfig
}

/** As they come from the command line: text, whatever the field is. */
export type ConfigFlags = Partial<
  Readonly<Record<'port' | 'host' | 'data' | 'log' | 'logLevel' | 'supervisor', string>>
>

export interface ConfigSources {
  /** The folder that has functions/ and, if there is one, host.config.json. */
  readonly root: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly flags?: ConfigFlags
}

/** Throws BAD_CONFIG with every problem found, TOKENS_REQUIRED. Flags win over the environment, that over the file. */
export function loadConfig(sources: ConfigSources): Config {
  const { folder, config } = readConfig(sources)
  const tokens = readTokens(config.http.tokens, sources.env ?? {})
  if (tokens.length === 0 && !isLoopback(config.http.host)) {
    throw new HostError(
      'TOKENS_REQUIRED',
      `http.host ${JSON.stringify(config.http.host)} can be reached from other machines, and http.tokens has no token: ` +
        'add one ({ "name": "…", "env": "VARIABLE", "scopes": ["emit", "read", "admin"] }), or listen on 127.0.0.1',
    )
  }
  return deepFreeze({
    ...config,
    root: folder,
    functions: resolve(folder, config.functions),
    data: resolve(folder, config.data),
    http: { ...config.http, tokens },
    log: readLog(config.log, folder, sources.env ?? {}),
    cluster: readCluster(config.cluster, sources.env ?? {}),
  })
}

/** Where the host of a folder listens and what it owns, for those who speak to it: they need not know the secrets of its tokens. */
export function configuredAddress(sources: ConfigSources): {
  host: string
  port: number
  data: string
} {
  const { folder, config } = readConfig(sources)
  const { host, port } = config.http
  return { host, port, data: resolve(folder, config.data) }
}

function readConfig({ root, env = {}, flags = {} }: ConfigSources): {
  folder: string
  config: Omit<ConfigInput, '$schema'>
} {
  const folder = resolve(root)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw badConfig([`--root: there is no folder ${folder}`])
  }
  const file = join(folder, 'host.config.json')
  const merged = readFile(file)
  const sources = new Map<string, string>()
  const fields = configFields()
  const put = (field: ConfigField, text: string, source: string) => {
    set(merged, field.path, parseText(field, text, source))
    sources.set(field.path.join('.'), source)
  }

  for (const field of fields) {
    const name = environmentName(field.path)
    const text = env[name]
    if (text !== undefined && text !== '') put(field, text, name)
  }
  const fieldAt = (path: string) => fields.find((known) => known.path.join('.') === path)
  for (const [flag, path] of flagPaths) {
    const text = flags[flag]
    const field = fieldAt(path)
    if (text === undefined || field === undefined) continue
    if (flag === 'log' && kafkaAddress.test(text)) {
      const brokers = fieldAt('log.brokers')
      put(field, 'kafka', flagName(flag))
      if (brokers !== undefined) put(brokers, text.replace(kafkaAddress, ''), flagName(flag))
    } else put(field, text, flagName(flag))
  }
  const { log } = merged
  const isKind = isObject(log) && log.kind !== undefined
  if (isObject(log) && !isKind && Array.isArray(log.brokers) && log.brokers.length > 0) {
    log.kind = 'kafka'
  }
  const parsed = configSchema.safeParse(merged, { reportInput: true })
  const issues = parsed.error?.issues ?? []
  const problems = [
    ...issues.flatMap((issue) => describe(issue, sources, file)),
    ...(parsed.success ? kafkaProblems(parsed.data, file) : []),
    ...unknownVariables(env, fields, parsed.data === undefined ? [] : secretsOf(parsed.data)),
  ]
  if (!parsed.success || problems.length > 0) throw badConfig(problems)
  const { $schema: _, ...config } = parsed.data
  return { folder, config }
}

/** `http.maxBytes` is set by MILLRACE_HTTP_MAX_BYTES. */
export function environmentName(path: readonly string[]): string {
  const words = path.map((segment) => segment.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase())
  return ['MILLRACE', ...words].join('_')
}

const flagPaths: readonly (readonly [flag: keyof ConfigFlags, path: string])[] = [
  ['port', 'http.port'],
  ['host', 'http.host'],
  ['data', 'data'],
  ['log', 'log.kind'],
  ['logLevel', 'logging.level'],
  ['supervisor', 'supervisor.enabled'],
]

const flagName = (flag: string): string =>
  `--${flag.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`

function readFile(file: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '')
  } catch (cause) {
    if (isMissing(cause)) return {}
    throw new HostError('BAD_CONFIG', `${file} cannot be read: ${String(cause)}`, { cause })
  }
  const fault = findJsonFault(text)
  if (fault !== undefined) {
    throw badConfig([`${file}:${fault.line}:${fault.column}: not JSON: ${fault.message}`])
  }
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) throw badConfig([`${file}: found ${shown(value)}, allowed is an object`])
  return value
}

function parseText(field: ConfigField, text: string, source: string): unknown {
  switch (field.type) {
    case 'string':
      return text
    case 'number':
      // What is no number stays text, and is refused with the field's own rule.
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text
    case 'boolean':
      return { true: true, 1: true, false: false, 0: false }[text.trim().toLowerCase()] ?? text
    case 'array': {
      const fault = findJsonFault(text)
      if (fault === undefined) return JSON.parse(text)
      throw badConfig([
        `${field.path.join('.')} (${source}): not JSON at character ${fault.position + 1}: ${fault.message}`,
      ])
    }
    case 'list':
      return text.trimStart().startsWith('[')
        ? parseText({ ...field, type: 'array' }, text, source)
        : text.split(',').map((one) => one.trim())
  }
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target
  for (const segment of path.slice(0, -1)) {
    at[segment] ??= {}
    // `true` stands for an object of defaults.
    if (at[segment] === true && segment === 'ssl') at[segment] = {}
    const next = at[segment]
    // What is no object here came from the file, and is refused as that.
    if (!isObject(next)) return
    at = next
  }
  const last = path.at(-1)
  if (last !== undefined) at[last] = value
}

/** What no field can tell of itself. */
function kafkaProblems({ log, limits }: ConfigInput, file: string): string[] {
  if (log.kind !== 'kafka') return []
  const { sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs } = log.kafka
  const problems: string[] = []
  if (log.brokers.length === 0) {
    problems.push(
      `log.brokers (${file}): found nothing; a log on Kafka needs some, such as ["127.0.0.1:9092"]`,
    )
  }
  if (heartbeatIntervalMs * 3 > sessionTimeoutMs) {
    problems.push(
      `log.kafka.heartbeatIntervalMs (${file}): found ${heartbeatIntervalMs}; the most that is allowed is a third of log.kafka.sessionTimeoutMs (${sessionTimeoutMs})`,
    )
  }
  if (rebalanceTimeoutMs <= limits.drainMs * 2) {
    problems.push(
      `log.kafka.rebalanceTimeoutMs (${file}): found ${rebalanceTimeoutMs}; it has to be more than limits.drainMs (${limits.drainMs}) twice`,
    )
  }
  return problems
}

function describe(
  issue: z.core.$ZodIssue,
  sources: ReadonlyMap<string, string>,
  file: string,
): string[] {
  const path = issue.path.map(String)
  const source = [...sources].find(([field]) => `${path.join('.')}.`.startsWith(`${field}.`))?.[1]
  const where = (names: readonly string[]) => `${names.join('.') || 'the file'} (${source ?? file})`
  if (issue.code === 'unrecognized_keys') {
    const known = knownNames(issue.path)
    return issue.keys.map((key) => {
      const near = nearest(key, known)
      const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`
      return `${where([...path, key])}: no such field; ${hint}`
    })
  }
  if (issue.code === 'invalid_union') {
    // The one that it is nearest to: whose kind of value it is.
    const within = issue.errors.find(([first]) => (first?.path.length ?? 0) > 0)
    if (within !== undefined) {
      return within.flatMap((inner) =>
        describe({ ...inner, path: [...issue.path, ...inner.path] }, sources, file),
      )
    }
  }
  const found = issue.input === undefined ? 'nothing' : shown(issue.input)
  return [`${where(path)}: found ${found}; ${allowed(issue)}`]
}

function allowed(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_value': {
      const values = issue.values.map(String)
      const near = typeof issue.input === 'string' ? nearest(issue.input, values) : undefined
      const list = `allowed is ${values.map((value) => `"${value}"`).join(', ')}`
      return near === undefined ? list : `${list}; did you mean "${near}"?`
    }
    case 'invalid_type':
      return `allowed is ${issue.expected === 'int' ? 'a whole number' : `a value of type ${issue.expected}`}`
    case 'too_small':
      return `the least that is allowed is ${issue.minimum}${issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' items' : ''}`
    case 'too_big':
      return `the most that is allowed is ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`
    case 'invalid_union': {
      const kinds = issue.errors.flatMap(([first]) =>
        first?.code === 'invalid_type' ? first.expected : [],
      )
      return `allowed is ${kinds.join(' or ')}`
    }
    default:
      return issue.message
  }
}

const kafkaAddress = /^kafka:\/\//

/** Variables that a field names. */
const secretsOf = ({ http, log, cluster }: ConfigInput): string[] => [
  ...http.tokens.map(({ env }) => env),
  passwordVariable,
  secretVariable,
  cluster.secretEnv,
  ...(log.sasl === undefined ? [] : [log.sasl.passwordEnv]),
  ...(typeof log.ssl === 'object' && log.ssl.passphraseEnv !== undefined
    ? [log.ssl.passphraseEnv]
    : []),
]

/** Of the commands that speak to a host. */
const clientVariables: readonly string[] = ['MILLRACE_URL', 'MILLRACE_TOKEN']

/** A misspelt variable would otherwise be a setting that silently does nothing. */
function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
  fields: readonly ConfigField[],
  secrets: readonly string[],
): string[] {
  const known = fields.map((field) => environmentName(field.path))
  return (
    Object.keys(env)
      .filter(
        (name) => name.startsWith('MILLRACE_') && !known.includes(name) && !secrets.includes(name),
      )
      .filter((name) => !clientVariables.includes(name))
      // Kubernetes sets these in every pod beside a service called millrace.
      .filter((name) => !/^MILLRACE_(SERVICE_(HOST|PORT)|PORT$|PORT_\d)/.test(name))
      .map((name) => {
        const near = nearest(name, known)
        const hint = near === undefined ? 'unset it' : `did you mean ${near}?`
        return `${name} (environment): no field has this name; ${hint}`
      })
  )
}

function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  return loopback.check(host, 'ipv4') || loopback.check(host, 'ipv6')
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT'

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
