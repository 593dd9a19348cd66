// The configuration: host.config.json, the environment and flags, in one frozen object of absolute paths.
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { BlockList } from 'node:net'
import { join, resolve } from 'node:path'
import type { z } from 'zod'
import {
  type ConfigField,
  type ConfigInput,
  configFields,
  configSchema,
  knownNames,
} from './config-schema.js'
import { HostError } from './errors.js'
import { findJsonFault } from './json-scan.js'
import { nearest } from './nearest.js'
import { isObject } from './object.js'

export type Scope = 'emit' | 'read' | 'admin'

/** A bearer token as it is compared: the secret itself is not kept. */
export interface AccessToken {
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Patterns; absent: every name. */
  readonly names?: readonly string[]
  /** SHA-256 of the secret, in hex. */
  readonly hash: string
}

export interface Config extends Readonly<Omit<ConfigInput, '$schema' | 'http'>> {
  /** The folder of host.config.json, absolute. `functions` and `data` are absolute, too. */
  readonly root: string
  readonly http: {
    readonly host: string
    readonly port: number
    readonly tokens: readonly AccessToken[]
  }
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
    http: { host: config.http.host, port: config.http.port, tokens },
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
  for (const [flag, path] of flagPaths) {
    const text = flags[flag]
    const field = fields.find((known) => known.path.join('.') === path)
    if (text !== undefined && field !== undefined) put(field, text, flagName(flag))
  }
  const kafka = kafkaProblem(merged, sources.get('log.kind') ?? file)
  const parsed = configSchema.safeParse(merged, { reportInput: true })
  const issues = parsed.error?.issues ?? []
  const problems = [
    ...kafka,
    ...issues
      .filter(({ path }) => kafka.length === 0 || path.join('.') !== 'log.kind')
      .flatMap((issue) => describe(issue, sources, file)),
    ...unknownVariables(env, fields, parsed.data?.http.tokens ?? []),
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
  }
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target
  for (const segment of path.slice(0, -1)) {
    at[segment] ??= {}
    const next = at[segment]
    // What is no object here came from the file, and is refused as that.
    if (!isObject(next)) return
    at = next
  }
  const last = path.at(-1)
  if (last !== undefined) at[last] = value
}

function kafkaProblem(merged: Record<string, unknown>, source: string): string[] {
  const kind = isObject(merged.log) ? merged.log.kind : undefined
  if (typeof kind !== 'string' || !/^kafka(:|$)/.test(kind)) return []
  return [
    `log.kind (${source}): found ${shown(kind)}; this version runs on the embedded log only: ` +
      'take "embedded", or leave the field out',
  ]
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
    default:
      return issue.message
  }
}

/** Of the commands that speak to a host. */
const clientVariables: readonly string[] = ['MILLRACE_URL', 'MILLRACE_TOKEN']

/** A misspelt variable would otherwise be a setting that silently does nothing. */
function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
  fields: readonly ConfigField[],
  tokens: readonly { readonly env: string }[],
): string[] {
  const known = fields.map((field) => environmentName(field.path))
  const secrets = new Set(tokens.map((token) => token.env))
  return (
    Object.keys(env)
      .filter((name) => name.startsWith('MILLRACE_') && !known.includes(name) && !secrets.has(name))
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

function readTokens(
  tokens: ConfigInput['http']['tokens'],
  env: Readonly<Record<string, string | undefined>>,
): AccessToken[] {
  const problems: string[] = []
  const owners = new Map<string, string>()
  const read = tokens.map(({ name, env: variable, scopes, names }, index): AccessToken => {
    const secret = env[variable] ?? ''
    const where = `http.tokens.${index}.env (token ${JSON.stringify(name)})`
    if (secret === '') {
      problems.push(
        `${where}: the environment variable ${variable} is not set or empty; set it to the secret`,
      )
    } else if (secret.length < 16) {
      problems.push(
        `${where}: ${variable} has ${secret.length} characters; a secret needs 16 or more`,
      )
    }
    const hash = createHash('sha256').update(secret).digest('hex')
    const owner = owners.get(hash)
    if (secret !== '' && owner !== undefined) {
      problems.push(
        `${where}: has the same secret as token ${JSON.stringify(owner)}; give each its own`,
      )
    }
    owners.set(hash, name)
    return { name, scopes, ...(names === undefined ? {} : { names }), hash }
  })
  if (problems.length > 0) throw badConfig(problems)
  return read
}

function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  return loopback.check(host, 'ipv4') || loopback.check(host, 'ipv6')
}

function badConfig(problems: readonly string[]): HostError {
  const [only] = problems
  const message =
    problems.length === 1 && only !== undefined
      ? `the configuration is not right: ${only}`
      : `the configuration is not right:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`
  return new HostError('BAD_CONFIG', message, { details: problems })
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
