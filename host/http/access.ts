// Who may do what: bearer tokens, their scopes and their patterns of names.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { AccessToken, Scope } from '../config-secrets.js'
import { HostError } from '../errors.js'

/** What the bearer of a request may do. */
export interface Access {
  /** Throws FORBIDDEN unless one of the scopes is granted and, if there is a name, a pattern matches it. */
  require(scopes: readonly Scope[], name?: string): void
  /** For lists: is this name to be shown? */
  mayName(name: string): boolean
}

/** Undefined `authorization`: no header. Throws UNAUTHENTICATED. */
export type Gatekeeper = (authorization: string | undefined) => Access

const everything: Access = { require: () => {}, mayName: () => true }

/** Without tokens everybody may do everything: the configuration allows that on a loopback address only. */
export function createGatekeeper(tokens: readonly AccessToken[]): Gatekeeper {
  if (tokens.length === 0) return () => everything
  const known = tokens.map((token) => ({
    hash: Buffer.from(token.hash, 'hex'),
    access: accessOf(token),
  }))
  return (authorization) => {
    const presented = /^Bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1]
    if (presented === undefined) {
      throw new HostError(
        'UNAUTHENTICATED',
        'this host wants a token: send the header "Authorization: Bearer TOKEN"',
      )
    }
    const hash = createHash('sha256').update(presented).digest()
    let access: Access | undefined
    // All are compared, found or not: the time taken tells nothing about them.
    for (const token of known) {
      if (timingSafeEqual(token.hash, hash)) access = token.access
    }
    if (access === undefined) {
      throw new HostError('UNAUTHENTICATED', 'the token is not one of this host: check it')
    }
    return access
  }
}

function accessOf(token: AccessToken): Access {
  const patterns = token.names?.map(toExpression)
  const mayName = (name: string) => patterns?.some((pattern) => pattern.test(name)) ?? true
  return {
    mayName,
    require(scopes, name) {
      if (!scopes.some((scope) => token.scopes.includes(scope))) {
        throw new HostError(
          'FORBIDDEN',
          `the token "${token.name}" lacks the scope ${scopes.join(' or ')}: use another, or add the scope to it`,
        )
      }
      if (name !== undefined && !mayName(name)) {
        throw new HostError(
          'FORBIDDEN',
          `the token "${token.name}" is not good for "${name}": use another, or add the name to it`,
        )
      }
    },
  }
}

function toExpression(pattern: string): RegExp {
  const escaped = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 's')
}
