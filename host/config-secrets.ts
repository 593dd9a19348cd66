// What the configuration only names: secrets in the environment, and files of certificates.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { badConfig } from './bad-config.js'
import type { ConfigInput } from './config-schema.js'

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

/** In PEM, not the files' names. */
export interface TlsConfig {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly rejectUnauthorized: boolean
  readonly servername?: string
}

export interface SaslConfig {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

type LogInput = ConfigInput['log']

export interface LogConfig extends Readonly<Omit<LogInput, 'ssl' | 'sasl'>> {
  readonly ssl?: TlsConfig
  readonly sasl?: SaslConfig
}

type Environment = Readonly<Record<string, string | undefined>>

const notSet = (where: string, variable: string): string =>
  `${where}: the environment variable ${variable} is not set or empty; set it to the secret`

const leastSecret = 16

const tooShort = (where: string, variable: string, { length }: string): string =>
  `${where}: ${variable} has ${length} characters; a secret needs ${leastSecret} or more`

export function readTokens(tokens: ConfigInput['http']['tokens'], env: Environment): AccessToken[] {
  const problems: string[] = []
  const owners = new Map<string, string>()
  const read = tokens.map(({ name, env: variable, scopes, names }, index): AccessToken => {
    const secret = env[variable] ?? ''
    const where = `http.tokens.${index}.env (token ${JSON.stringify(name)})`
    if (secret === '') {
      problems.push(notSet(where, variable))
    } else if (secret.length < leastSecret) {
      problems.push(tooShort(where, variable, secret))
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

export interface ClusterConfig {
  /** Made of the secret, which itself is not kept; undefined: there is none. */
  readonly credential: string | undefined
  readonly timeoutMs: number
}

/** What the instances show each other in its place: in hex, whatever characters the secret has. */
const credentialOf = (secret: string): string =>
  createHash('sha256').update(`millrace-cluster:${secret}`).digest('hex')

export function readCluster(
  { secretEnv, timeoutMs }: ConfigInput['cluster'],
  env: Environment,
): ClusterConfig {
  const secret = env[secretEnv] ?? ''
  if (secret !== '' && secret.length < leastSecret) {
    throw badConfig([tooShort('cluster.secretEnv', secretEnv, secret)])
  }
  return { credential: secret === '' ? undefined : credentialOf(secret), timeoutMs }
}

/** Files and secrets are read for a log that they are for. */
export function readLog(
  { ssl, sasl, ...log }: LogInput,
  folder: string,
  env: Environment,
): LogConfig {
  if (log.kind !== 'kafka') return log
  const problems: string[] = []
  const secret = (variable: string, field: string): string => {
    const value = env[variable] ?? ''
    if (value === '') problems.push(notSet(field, variable))
    return value
  }
  const pem = (file: string | undefined, field: string): string | undefined => {
    if (file === undefined) return undefined
    try {
      return readFileSync(resolve(folder, file), 'utf8')
    } catch (cause) {
      problems.push(`log.ssl.${field}: ${resolve(folder, file)} cannot be read: ${String(cause)}`)
      return undefined
    }
  }
  let tls: TlsConfig | undefined
  if (ssl === true) tls = { rejectUnauthorized: true }
  else if (ssl !== false) {
    const { passphraseEnv, rejectUnauthorized, servername } = ssl
    const [ca, cert, key] = [pem(ssl.ca, 'ca'), pem(ssl.cert, 'cert'), pem(ssl.key, 'key')]
    if ((ssl.cert === undefined) !== (ssl.key === undefined)) {
      problems.push('log.ssl: cert and key belong together; give both or none')
    }
    tls = {
      rejectUnauthorized,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
      ...(passphraseEnv === undefined
        ? {}
        : { passphrase: secret(passphraseEnv, 'log.ssl.passphraseEnv') }),
    }
  }
  const known = sasl && {
    mechanism: sasl.mechanism,
    username: sasl.username,
    password: secret(sasl.passwordEnv, 'log.sasl.passwordEnv'),
  }
  if (problems.length > 0) throw badConfig(problems)
  return {
    ...log,
    ...(tls === undefined ? {} : { ssl: tls }),
    ...(known === undefined ? {} : { sasl: known }),
  }
}
