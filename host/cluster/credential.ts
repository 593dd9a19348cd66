// How instances know each other: by what the cluster's secret makes, shown with each request between them and with no other.
import { createHash, timingSafeEqual } from 'node:crypto'
import { HostError } from '../errors.js'

/** Set on requests between instances alone. */
export const credentialHeader = 'millrace-cluster'

/** Shown where there is no secret: it opens nothing that needs one. */
const noSecret = 'open'

export interface Admission {
  /** Undefined: no secret is set. */
  readonly credential: string | undefined
  /** Whoever reaches the host may do everything, as it has no tokens: then the instances need no secret either. */
  readonly isOpen: boolean
}

/** The header's value; undefined: this host may ask nobody. */
export function shownCredential({ credential, isOpen }: Admission): string | undefined {
  return credential ?? (isOpen ? noSecret : undefined)
}

/** Throws FORBIDDEN, unless the request comes from an instance of the cluster. */
export function admitInstance(
  { credential, isOpen }: Admission,
  shown: string | undefined,
  variable = 'MILLRACE_CLUSTER_SECRET',
): void {
  if (shown === undefined) {
    throw new HostError('FORBIDDEN', 'this is for the other instances of the cluster alone')
  }
  if (credential === undefined) {
    if (isOpen) return
    throw new HostError(
      'FORBIDDEN',
      `this instance has no cluster secret: give it the one of the others, in ${variable}`,
    )
  }
  if (isSame(credential, shown)) return
  throw new HostError(
    'FORBIDDEN',
    `the cluster secret is another than that of this instance: give all instances the same, in ${variable}`,
  )
}

/** Hashed first, for the same length: the time that it takes tells nothing about the secret. */
const isSame = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
