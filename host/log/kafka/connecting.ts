// Why a broker cannot be talked to, in the words of the settings: what does not pass by itself is refused at once.
import { HostError } from '../../errors.js'
import { kafkaErrors } from './error-codes.js'
import { listenerAt, speaksTls } from './listener.js'
import { brokerUnavailable } from './problems.js'
import type { KafkaAccess } from './settings.js'
import { tlsRefused } from './tls.js'

/** Of one question to a listener. */
const probeMs = 2_000

/** kafkajs tells by their names what its errors are; all that is not one of them is a defect, and stays what it is. */
export function asBrokerError(thrown: unknown): unknown {
  const reason = reasonOf(thrown)
  if (reason instanceof HostError) return reason
  if (reason instanceof Error && reason.message === notYetConnected)
    return brokerUnavailable(reason)
  if (!isKafkajs(reason)) return thrown
  return byTls(reason) ?? brokerUnavailable(reason)
}

/** As `asBrokerError`; where somebody listens who ends the connection, by asking what it wants. */
export async function explained(
  thrown: unknown,
  access: KafkaAccess | undefined,
): Promise<unknown> {
  const error = asBrokerError(thrown)
  const reason = reasonOf(thrown)
  if (access === undefined || !isKafkajs(reason) || !isHungUp(reason)) return error
  const addresses = typeof reason.broker === 'string' ? [reason.broker] : access.brokers
  for (const address of addresses) {
    const found = await mismatch(address, access)
    if (found !== undefined) return found
  }
  return error
}

interface KafkajsError extends Error {
  readonly code?: unknown
  /** `host:port` */
  readonly broker?: unknown
}

const isKafkajs = (thrown: unknown): thrown is KafkajsError =>
  thrown instanceof Error && thrown.name.startsWith('KafkaJS')

/** kafkajs wraps what it has tried several times. */
function reasonOf(thrown: unknown): unknown {
  let reason = thrown
  while (isKafkajs(reason) && reason.code === undefined && reason.cause instanceof Error) {
    reason = reason.cause
  }
  return reason
}

function byTls({ code, broker, message }: KafkajsError): HostError | undefined {
  return typeof code === 'string' && typeof broker === 'string'
    ? tlsRefused(broker, code, message)
    : undefined
}

/** What kafkajs throws, as no error of its own, of a connection that is just being made by somebody else. */
const notYetConnected = 'Broker not connected'

const hangUps: readonly unknown[] = [
  'ECONNRESET',
  'EPIPE',
  'EPROTO',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]
const saslDisputes: readonly unknown[] = [
  kafkaErrors.UNSUPPORTED_SASL_MECHANISM,
  kafkaErrors.ILLEGAL_SASL_STATE,
]

/** Somebody listens, and does not want to talk as it was tried. A broker that ends does so, too. */
const isHungUp = ({ name, code }: KafkajsError): boolean =>
  name === 'KafkaJSConnectionClosedError' || hangUps.includes(code) || saslDisputes.includes(code)

/** What the settings say otherwise than the listener; undefined: nothing, or it cannot be asked. */
async function mismatch(address: string, access: KafkaAccess): Promise<HostError | undefined> {
  const { ssl, sasl, connectionTimeoutMs } = access
  const withinMs = Math.min(probeMs, connectionTimeoutMs)
  const refuse = (text: string) => new HostError('BROKER_REFUSED', `the broker ${address} ${text}`)
  const listener = await listenerAt(address, ssl, withinMs)
  if (listener === undefined) {
    if (ssl === undefined) {
      return (await speaksTls(address, withinMs))
        ? refuse(
            'speaks TLS: set log.ssl, or use the address of a listener without TLS in log.brokers',
          )
        : undefined
    }
    return (await listenerAt(address, undefined, withinMs)) === undefined
      ? undefined
      : refuse(
          'speaks no TLS: remove log.ssl, or use the address of a listener with TLS in log.brokers',
        )
  }
  const { mechanisms } = listener
  if (sasl === undefined) {
    return mechanisms === undefined
      ? undefined
      : refuse(
          `wants to know who comes (SASL ${mechanisms.join(', ')}): set log.sasl, or use the address of another listener`,
        )
  }
  if (mechanisms === undefined) {
    return refuse(
      'does not ask who comes (no SASL): remove log.sasl, or use the address of a listener with SASL in log.brokers',
    )
  }
  if (mechanisms.includes(sasl.mechanism.toUpperCase())) return undefined
  return refuse(
    `does not know SASL ${sasl.mechanism.toUpperCase()}, only ${mechanisms.join(', ')}: set log.sasl.mechanism`,
  )
}
