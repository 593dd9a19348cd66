// This host among the instances of its cluster: whom it takes for one of them, and whom it may ask for what it does not have.
import { HostError } from '../errors.js'
import type { Catalog } from '../functions/catalog.js'
import type { GroupPeer } from '../log/log.js'
import { Admission, type AdmissionRule } from './admission.js'
import { type Peer, PeerClient } from './client.js'

export interface ClusterOptions {
  /** Names this host to the others. */
  readonly instance: string
  /** Where they reach it. */
  readonly address: string
  readonly admission: AdmissionRule
  /** How long another instance may take to answer. */
  readonly timeoutMs: number
  /** How long a request waits for who has its partition next. */
  readonly graceMs?: number
}

export class Cluster implements Disposable {
  readonly instance: string
  readonly address: string
  readonly timeoutMs: number
  readonly graceMs: number
  readonly admission: Admission
  readonly #client: PeerClient | undefined

  constructor({ instance, address, admission, timeoutMs, graceMs = 1000 }: ClusterOptions) {
    this.instance = instance
    this.address = address
    this.timeoutMs = timeoutMs
    this.graceMs = graceMs
    this.admission = new Admission(admission)
    if (this.admission.mayAsk) this.#client = new PeerClient(admission.credential)
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]()
  }

  /** False: it answers for its own partitions alone. */
  get isRouting(): boolean {
    return this.#client !== undefined
  }

  /** Throws NOT_ROUTED. */
  get client(): PeerClient {
    if (this.#client !== undefined) return this.#client
    throw new HostError(
      'NOT_ROUTED',
      `what is asked for is at another instance, and this one may not ask it: ${howToRoute}`,
    )
  }

  /** Throws NOT_ROUTED. */
  peer({ instance, address }: GroupPeer): Peer {
    if (address !== undefined) return { instance, address }
    throw new HostError(
      'NOT_ROUTED',
      `what is asked for is at the instance ${instance}, which does not say where it is reached: it is of an older version; ask it there, or start it anew with this one`,
    )
  }

  /** Who has the function's partition, if it is another instance, as far as is known. */
  ownerElsewhere(catalog: Members, functionName: string, partition: number): GroupPeer | undefined {
    const owner = ownerOf(catalog, functionName, partition)
    return owner?.instance === this.instance ? undefined : owner
  }

  /** All others that share a group with this one. */
  others(catalog: Pick<Catalog, 'members' | 'states'>): GroupPeer[] {
    const found = new Map<string, GroupPeer>()
    for (const name of catalog.states().keys()) {
      for (const peer of catalog.members(name)) found.set(peer.instance, peer)
    }
    found.delete(this.instance)
    return [...found.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1))
  }
}

type Members = Pick<Catalog, 'members'>

const ownerOf = (
  catalog: Members,
  functionName: string,
  partition: number,
): GroupPeer | undefined =>
  catalog.members(functionName).find(({ partitions }) => partitions.includes(partition))

export const howToRoute =
  'set MILLRACE_CLUSTER_SECRET to one secret, of 16 characters or more, for all instances, or ask the one that has it (GET /functions of each)'
