// What a function has reached at other instances: asked of these, which answer when they are there.
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, HostError } from '../errors.js'
import type { GroupPeer } from '../log/log.js'
import type { Cluster } from './cluster.js'
import { refuseUnlessGood } from './refusal.js'

export interface PositionNeed {
  readonly topic: string
  readonly partition: number
  /** That is needed. */
  readonly position: number
}

export interface PositionsAsked {
  readonly function: string
  readonly needs: readonly PositionNeed[]
  /** How long the other waits for them to be reached. */
  readonly waitMs: number
}

/** Then it answers with what it is at: who has a partition may be another by then. */
const windowMs = 2_000
/** After an answer that came at once and is no news: between two questions. */
const pauseMs = 50

/** All that are asked for at one time, on behalf of one waiting request. */
export class RemotePositions implements Disposable {
  readonly #cluster: Cluster
  readonly #function: string
  readonly #heard = new Map<string, number>()
  /** By instance: one question at a time. */
  readonly #asking = new Set<string>()
  readonly #end = new AbortController()
  #tell: () => void = () => {}
  #refused: HostError | undefined

  constructor(cluster: Cluster, functionName: string) {
    this.#cluster = cluster
    this.#function = functionName
  }

  [Symbol.dispose](): void {
    this.#end.abort(new HostError('BAD_REQUEST', 'the wait is over'))
  }

  /** As it was heard last. What was stored once is stored for ever, whoever has it by now. */
  position(topic: string, partition: number): number {
    return this.#heard.get(`${topic}/${partition}`) ?? 0
  }

  /** Resolves when more is known. Throws what asking again would not mend: NOT_ROUTED, PEER_REFUSED. */
  ask(needs: ReadonlyMap<GroupPeer, readonly PositionNeed[]>): Promise<void> {
    if (this.#refused !== undefined) return Promise.reject(this.#refused)
    const news = new Promise<void>((resolve) => {
      this.#tell = resolve
    })
    for (const [owner, wanted] of needs) {
      if (this.#asking.has(owner.instance)) continue
      this.#asking.add(owner.instance)
      void this.#askOne(owner, wanted).finally(() => {
        this.#asking.delete(owner.instance)
        this.#tell()
      })
    }
    return news
  }

  /** Never rejects. */
  async #askOne(owner: GroupPeer, needs: readonly PositionNeed[]): Promise<void> {
    const { signal } = this.#end
    const begun = performance.now()
    try {
      const heard = await this.#positions(owner, needs)
      needs.forEach(({ topic, partition, position }, index) => {
        const found = heard[index] ?? 0
        if (found >= position) this.#heard.set(`${topic}/${partition}`, found)
      })
      if (needs.every(({ position }, index) => (heard[index] ?? 0) >= position)) return
    } catch (error) {
      if (signal.aborted) return
      const { code } = asHostError(error)
      if (code === 'NOT_ROUTED' || code === 'PEER_REFUSED') {
        this.#refused = asHostError(error)
        return
      }
    }
    // It moves, perhaps, or nobody answers there: the next question may be for another.
    if (performance.now() - begun < pauseMs) {
      await pause(pauseMs, undefined, { signal }).catch(() => {})
    }
  }

  async #positions(owner: GroupPeer, needs: readonly PositionNeed[]): Promise<number[]> {
    const peer = this.#cluster.peer(owner)
    const asked: PositionsAsked = { function: this.#function, needs, waitMs: windowMs }
    const { status, body } = await this.#cluster.client.ask(peer, {
      method: 'POST',
      path: '/cluster/positions',
      body: JSON.stringify(asked),
      timeoutMs: windowMs + this.#cluster.timeoutMs,
      signal: this.#end.signal,
    })
    refuseUnlessGood(peer, status, body)
    return JSON.parse(body.toString())
  }
}
