// Who this host is among the instances, and where the others reach it.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** Of this process alone: one that is started anew at the same address is another, and is not taken for the one before. */
export const newInstance = (): string =>
  `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`

export interface Listening {
  readonly host: string
  /** That was taken, should any have been asked for. */
  readonly port: number
  readonly advertise?: string | undefined
}

/** As an origin, without a slash at its end. */
export function advertisedAddress({ host, port, advertise }: Listening): string {
  if (advertise !== undefined) return new URL(advertise).origin
  const name = isEverywhere(host) ? hostname() : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** No address that anybody could be asked at. */
const isEverywhere = (host: string): boolean => /^(0(\.0){0,3}|[0:]+)$/.test(host)
