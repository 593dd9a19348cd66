// TLS to the brokers: whether what is set can be used, and what it means when a broker and this host do not take each other's certificates.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { HostError } from '../../errors.js'

export interface TlsSettings {
  /** In PEM, as all of it. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  readonly rejectUnauthorized?: boolean
  readonly servername?: string
}

/** Throws BAD_CONFIG. Each of them for itself: OpenSSL does not tell which one it cannot read. */
export function checkTls({ ca, cert, key, passphrase }: TlsSettings): void {
  tryOut('log.ssl.ca', 'no certificate in PEM', () => ca !== undefined && new X509Certificate(ca))
  tryOut(
    'log.ssl.cert',
    'no certificate in PEM',
    () => cert !== undefined && new X509Certificate(cert),
  )
  const lacks =
    passphrase === undefined
      ? 'or its passphrase is missing (log.ssl.passphraseEnv)'
      : 'or the passphrase is not its'
  const withPassphrase = passphrase === undefined ? {} : { passphrase }
  tryOut('log.ssl.key', `no private key in PEM, ${lacks}`, () =>
    key === undefined ? undefined : createPrivateKey({ key, ...withPassphrase }),
  )
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
    throw new HostError(
      'BAD_CONFIG',
      `log.ssl.${missing} is missing: with log.ssl.${given} it is needed`,
    )
  }
  tryOut('log.ssl.key', 'not the key of log.ssl.cert', () =>
    createSecureContext({ cert, key, ...withPassphrase }),
  )
}

function tryOut(field: string, what: string, work: () => unknown): void {
  try {
    work()
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause)
    throw new HostError(
      'BAD_CONFIG',
      `${field}: found ${what} (${said}); look at the file that it names`,
      { cause },
    )
  }
}

/** Codes of Node for a chain that ends with nobody who is trusted. */
const untrusted: readonly string[] = [
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]

/** What it says that does not pass by itself; undefined: it is about something else. */
export function tlsRefused(address: string, code: string, message: string): HostError | undefined {
  const refuse = (text: string) => new HostError('BROKER_REFUSED', text)
  if (untrusted.includes(code)) {
    return refuse(
      `the certificate of the broker ${address} is signed by nobody whom this host trusts (${code}): ` +
        'set log.ssl.ca to the certificate of the authority that signs those of the brokers',
    )
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return refuse(
      `the certificate of the broker ${address} is for another host (${message}): ` +
        "use a name that it has, in log.brokers and in the broker's advertised.listeners, or set log.ssl.servername",
    )
  }
  if (/^CERT_|^CRL_|^INVALID_CA$|^PATH_LENGTH_EXCEEDED$|^INVALID_PURPOSE$/.test(code)) {
    return refuse(
      `the certificate of the broker ${address} is not to be trusted (${code}): renew it, and look at the clock of this machine`,
    )
  }
  if (/^ERR_SSL_.*ALERT/.test(code)) {
    return refuse(
      `the broker ${address} refuses the TLS connection (${code}): if it asks for a certificate set log.ssl.cert and log.ssl.key, ` +
        'to one that is signed by an authority that the broker trusts',
    )
  }
  return undefined
}
