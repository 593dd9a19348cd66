// Certificates for tests, made without any tool: X.509 as DER has it, with keys on the curve P-256.
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'

/** In PEM. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

export interface Subject {
  readonly name: string
  readonly organization?: string
  readonly hosts?: readonly string[]
  /** Of IPv4. */
  readonly addresses?: readonly string[]
  /** From now on; negative: it has expired. */
  readonly days?: number
}

export interface Authority {
  /** In PEM. */
  readonly cert: string
  issue(subject: Subject): Certified
}

export function newAuthority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = { subject: { name }, issuer: name, key: keys.publicKey, signer: keys.privateKey }
  return {
    cert: certificate({ ...own, isAuthority: true }),
    issue(subject) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const signed = { subject, issuer: name, key: publicKey, signer: keys.privateKey }
      return {
        cert: certificate({ ...signed, isAuthority: false }),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}

/** The same key, which only who knows the passphrase can use. */
export const locked = (key: string, passphrase: string): string =>
  createPrivateKey(key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString()

interface Signed {
  readonly subject: Subject
  readonly issuer: string
  readonly key: KeyObject
  readonly signer: KeyObject
  readonly isAuthority: boolean
}

const dayMs = 86_400_000

function certificate({ subject, issuer, key, signer, isAuthority }: Signed): string {
  const { hosts = [], addresses = [], days = 10 } = subject
  const algorithm = sequence(oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const names = [
    ...hosts.map((host) => tagged(0x82, Buffer.from(host))),
    ...addresses.map((address) => tagged(0x87, Buffer.from(address.split('.').map(Number)))),
  ]
  const extensions = [
    extension('2.5.29.19', sequence(...(isAuthority ? [tagged(0x01, Buffer.from([0xff]))] : []))),
    ...(names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : []),
  ]
  const now = Date.now()
  const content = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    named({ name: issuer }),
    sequence(time(now - 20 * dayMs), time(now + days * dayMs)),
    named(subject),
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  )
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', content, signer))
  const text = sequence(content, algorithm, signature)
    .toString('base64')
    .replaceAll(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${text.trim()}\n-----END CERTIFICATE-----\n`
}

const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), tagged(0x04, value))

function named({ name, organization }: Subject): Buffer {
  const part = (id: string, text: string) =>
    tagged(0x31, sequence(oid(id), tagged(0x0c, Buffer.from(text))))
  const widest = organization === undefined ? [] : [part('2.5.4.10', organization)]
  return sequence(...widest, part('2.5.4.3', name))
}

const time = (ms: number): Buffer =>
  tagged(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`))

const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes)

const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts)

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(inSevens)]))
}

/** Seven bits a byte, all but the last one marked. */
function inSevens(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80)
  return bytes
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}
