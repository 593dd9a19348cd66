// Shows a broker who this host is: by its password (PLAIN), or by a proof that it knows it (SCRAM, RFC 5802), which the broker answers
// by one of its own. In place of kafkajs' way, which keeps the first password that it was given, and calls a lost connection a wrong one.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { AuthenticationProviderArgs, Mechanism } from 'kafkajs'
import { HostError } from '../../errors.js'
import { kafkaErrors } from './error-codes.js'

export interface SaslSettings {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/** Sends a message, resolves with the broker's answer. */
type Say = (message: string) => Promise<string>

export interface ScramOptions extends Pick<SaslSettings, 'username' | 'password'> {
  readonly hash: 'sha256' | 'sha512'
  readonly nonce?: string
}

const derive = promisify(pbkdf2)
/** RFC 7677: fewer are too easily guessed. */
const leastIterations = 4096
const nonceBytes = 24
/** Of a client that binds itself to no channel, in front of its first message; and so as its last one has it. */
const noBinding = 'n,,'
const noBindingText = Buffer.from(noBinding).toString('base64')

export const mechanismOf = (sasl: SaslSettings): Mechanism => ({
  mechanism: sasl.mechanism,
  authenticationProvider: (connection) => ({
    authenticate: async () => {
      const reason = await failureOf(sasl, sayTo(connection))
      if (reason !== undefined)
        throw notLetIn(`${connection.host}:${connection.port}`, sasl, reason)
    },
  }),
})

/** Why it is not let in. What is lost with the connection is thrown as it is: it passes. */
async function failureOf(sasl: SaslSettings, say: Say): Promise<string | undefined> {
  try {
    if (sasl.mechanism !== 'plain') {
      const hash = sasl.mechanism === 'scram-sha-256' ? 'sha256' : 'sha512'
      return await proveByScram({ ...sasl, hash }, say)
    }
    await say(`\0${sasl.username}\0${sasl.password}`)
    return undefined
  } catch (thrown) {
    if (isRefusal(thrown)) return thrown.message
    throw thrown
  }
}

/** Resolves with what is wrong; undefined: each knows that the other knows the password. */
export async function proveByScram(
  { hash, username, password, nonce = randomBytes(nonceBytes).toString('base64') }: ScramOptions,
  say: Say,
): Promise<string | undefined> {
  const bare = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const first = await say(`${noBinding}${bare}`)
  const { r = '', s: salt = '', i } = attributesOf(first)
  const iterations = Number(i)
  if (!r.startsWith(nonce) || r.length === nonce.length) return 'it does not answer what was asked'
  if (!(iterations >= leastIterations)) {
    return `it keeps the password with ${i} iterations, fewer than ${leastIterations}`
  }
  const bytes = hash === 'sha256' ? 32 : 64
  const salted = await derive(password, Buffer.from(salt, 'base64'), iterations, bytes, hash)
  const sign = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const clientKey = sign(salted, 'Client Key')
  const unproven = `c=${noBindingText},r=${r}`
  const all = `${bare},${first},${unproven}`
  const signature = sign(createHash(hash).update(clientKey).digest(), all)
  const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
  const { v = '', e } = attributesOf(
    await say(`${unproven},p=${Buffer.from(proof).toString('base64')}`),
  )
  if (e !== undefined) return e
  const shown = Buffer.from(v, 'base64')
  const expected = sign(sign(salted, 'Server Key'), all)
  if (shown.length === expected.length && timingSafeEqual(shown, expected)) return undefined
  return 'it cannot prove that it knows the password itself, and is not trusted'
}

/** `key=value`, separated by commas; a value may have further equals signs. */
const attributesOf = (message: string): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(message.split(',').map((each) => [each.slice(0, 1), each.slice(2)]))

/** kafkajs' messages have their length in front. */
const lengthBytes = 4

function sayTo({ saslAuthenticate }: AuthenticationProviderArgs): Say {
  return async (message) => {
    const text = Buffer.from(message)
    const framed = Buffer.alloc(lengthBytes + text.length)
    framed.writeInt32BE(text.length)
    text.copy(framed, lengthBytes)
    const answer = await saslAuthenticate({
      request: { encode: () => framed },
      response: {
        decode: (raw) => raw.subarray(lengthBytes),
        parse: (data) => data.toString(),
      },
    })
    return answer ?? ''
  }
}

const isRefusal = (thrown: unknown): thrown is Error =>
  thrown instanceof Error &&
  'code' in thrown &&
  thrown.code === kafkaErrors.SASL_AUTHENTICATION_FAILED

const notLetIn = (
  address: string,
  { mechanism, username }: SaslSettings,
  reason: string,
): HostError =>
  new HostError(
    'BROKER_REFUSED',
    `the broker ${address} does not let ${username} in by ${mechanism} (${reason}): look at log.sasl.username and log.sasl.mechanism, ` +
      'at the password in the variable that log.sasl.passwordEnv names, and whether the broker has such a user for this mechanism',
  )
