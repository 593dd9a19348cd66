// Whom this instance takes for another one of its cluster, and what it does for it once alone.
import { HostError } from '../errors.js'
import { noProof, type RequestProof, type RequestSaid, readProof } from './proof.js'
import { SeenRequests } from './seen-requests.js'

export interface AdmissionRule {
  /** Made of the cluster's secret; undefined: there is none. */
  readonly credential: string | undefined
  /** Whoever reaches the host may do everything, as it has no tokens: then the instances need no secret either. */
  readonly isOpen: boolean
}

/** By how much clocks may differ: a request that was sent longer ago may be another's, who has heard it. */
export const maxClockSkewMs = 300_000

export class Admission {
  readonly credential: string | undefined
  readonly #isOpen: boolean
  readonly #wallTime: () => number
  readonly #seen: SeenRequests

  constructor(
    { credential, isOpen }: AdmissionRule,
    wallTime: () => number = Date.now,
    seen = new SeenRequests({ keptMs: 2 * maxClockSkewMs }),
  ) {
    this.credential = credential
    this.#isOpen = isOpen
    this.#wallTime = wallTime
    this.#seen = seen
  }

  /** It may ask others, who take it for one of them. */
  get mayAsk(): boolean {
    return this.credential !== undefined || this.#isOpen
  }

  /** Undefined: nobody has to prove anything. Throws FORBIDDEN, unless the request comes from an instance of the cluster. */
  proven(shown: string | undefined, said: RequestSaid): RequestProof | undefined {
    if (shown === undefined) {
      throw new HostError('FORBIDDEN', 'this is for the other instances of the cluster alone')
    }
    const { credential } = this
    if (credential === undefined) {
      if (this.#isOpen) return undefined
      throw new HostError(
        'FORBIDDEN',
        'this instance has no cluster secret: give it the one of the others, in MILLRACE_CLUSTER_SECRET',
      )
    }
    const proof = shown === noProof ? undefined : readProof(credential, said, shown)
    if (proof !== undefined) return proof
    throw new HostError(
      'FORBIDDEN',
      'the cluster secret is another than that of this instance, or what was sent is not what has come: give all instances the same, in MILLRACE_CLUSTER_SECRET',
    )
  }

  /** Throws FORBIDDEN for what may have been sent before, by another. `isRepeatable`: it changes nothing. */
  once({ time, nonce }: RequestProof, isRepeatable: boolean): void {
    const skewMs = this.#wallTime() - time
    if (Math.abs(skewMs) > maxClockSkewMs) {
      throw new HostError(
        'FORBIDDEN',
        `the clocks of the two instances differ by ${Math.round(Math.abs(skewMs) / 1000)} s, allowed are ${maxClockSkewMs / 1000} s: set the clocks of both machines`,
      )
    }
    if (isRepeatable || this.#seen.isNew(nonce, time)) return
    throw new HostError(
      'FORBIDDEN',
      'the request has come before, or before so many others that this is not known any more: look whether it was done, and send it again if it was not',
    )
  }
}
