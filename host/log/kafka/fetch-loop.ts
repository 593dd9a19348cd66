// Fetches for one reader: from each broker all of its partitions that have room, one request after the other.
import { HostError } from '../../errors.js'
import { keyOf } from '../log.js'
import type { Brokers } from './brokers.js'
import { isPassing, kafkaErrorName, kafkaErrors } from './error-codes.js'
import { type Fetch, leastBytes, planFetch } from './fetch-plan.js'
import { LeaderWatch } from './leader-watch.js'
import { batchDamaged, brokerUnavailable } from './problems.js'
import { type Fetched, type FetchedPartitions, fetchRecords } from './requests/fetch.js'
import { right } from './rights.js'
import { type KafkaSeat, tellAfterMs } from './seat.js'
import { SeatFinder } from './seat-finder.js'

/** One of the two connections to a broker: what waits on one does not hold up what goes by the other. */
interface Lane {
  readonly isAside: boolean
  fetch: Fetch | undefined
}

interface Node {
  readonly id: number
  readonly lanes: readonly Lane[]
  /** It has asked to be left alone for a while. */
  isResting: boolean
}

/** What becomes of a partition that was asked for: asked for again, so too after a rest, or somebody looks after it. */
type Fate = 'free' | 'rest' | 'kept'

/** For one that has all partitions of the broker. */
const longWaitMs = 500
/** Beside another one: soon one is to wait for all of them. */
const shortWaitMs = 20
/** Of a fetch, beside its wait: then its connections are given up. */
const answerLimitMs = 10_000
const restMinMs = 20
const restMaxMs = 500
/** Decoding so much takes longer than sending the next request: that goes first. */
const largeBytes = 64 * 1024

export interface FetchLoopOptions {
  readonly maxBytes: number
  /** What a broker has nothing of is asked for again after a rest: it does not wait, and holds up nobody on the same connection. */
  readonly isBrief: boolean
  /** Of a partition that gives nothing for so long it is asked who leads it. */
  readonly metadataIntervalMs: number
  /** Called whenever a seat may have news. */
  changed(): void
}

export class FetchLoop {
  readonly #brokers: Brokers
  readonly #maxBytes: number
  readonly #isBrief: boolean
  readonly #changed: () => void
  readonly #finder: SeatFinder
  readonly #leaders: LeaderWatch
  readonly #nodes = new Map<number, Node>()
  #seats: ReadonlySet<KafkaSeat> = new Set()
  #turn = 0
  #isDue = false
  #isLocating = false
  #isClosed = false
  #alarm: NodeJS.Timeout | undefined

  constructor(brokers: Brokers, options: FetchLoopOptions) {
    const { maxBytes, isBrief, metadataIntervalMs, changed } = options
    this.#brokers = brokers
    this.#maxBytes = maxBytes
    this.#isBrief = isBrief
    this.#changed = changed
    const failed = (seat: KafkaSeat, thrown: unknown): void =>
      this.#failed(seat, thrown, performance.now())
    this.#finder = new SeatFinder(brokers, failed)
    this.#leaders = new LeaderWatch(brokers, {
      intervalMs: metadataIntervalMs,
      left: () => this.look(),
      failed,
    })
  }

  /** What is fetched from now on; others may still be under way. */
  read(seats: ReadonlySet<KafkaSeat>): void {
    this.#seats = seats
    this.look()
  }

  /** Some partition may have room: once for all that happens in this turn. */
  look(): void {
    if (this.#isDue) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      if (!this.#isClosed) this.#look()
    })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#alarm)
  }

  #look(): void {
    this.#leaders.look(this.#seats)
    const share = Math.max(leastBytes, Math.floor(this.#maxBytes / Math.max(1, this.#seats.size)))
    const byNode = new Map<number, KafkaSeat[]>()
    const unlocated: KafkaSeat[] = []
    for (const seat of this.#seats) {
      if (seat.isBusy || !seat.hasRoom(share)) continue
      if (seat.leader === undefined) {
        unlocated.push(seat)
        continue
      }
      const known = byNode.get(seat.leader.node)
      if (known === undefined) byNode.set(seat.leader.node, [seat])
      else known.push(seat)
    }
    if (unlocated.length > 0 && !this.#isLocating) void this.#locate(unlocated)
    for (const [id, seats] of byNode) this.#send(this.#node(id), seats)
  }

  #node(id: number): Node {
    const known = this.#nodes.get(id)
    if (known !== undefined) return known
    const lanes: Lane[] = [false, true].map((isAside) => ({ isAside, fetch: undefined }))
    const node: Node = { id, lanes, isResting: false }
    this.#nodes.set(id, node)
    return node
  }

  #send(node: Node, seats: readonly KafkaSeat[]): void {
    const lane = node.lanes.find(({ fetch }) => fetch === undefined)
    if (lane === undefined || node.isResting) return
    const other = node.lanes.find(({ fetch }) => fetch !== undefined)?.fetch
    // It ends in a moment, and then one request waits for all of them.
    if (other?.waitMs === shortWaitMs && seats.every(({ isQuiet }) => isQuiet)) return
    const fetch = planFetch({
      seats,
      turn: this.#turn++,
      wholeBytes: Math.max(leastBytes, Math.floor(this.#maxBytes / this.#nodes.size)),
      freeBytes: 2 * this.#maxBytes - this.#usedBytes(),
      waitMs: this.#waitMs(other),
    })
    if (fetch.asked.length > 0) void this.#fetch(node, lane, fetch)
  }

  #waitMs(other: Fetch | undefined): number {
    if (this.#isBrief) return 0
    return other === undefined ? longWaitMs : shortWaitMs
  }

  #usedBytes(): number {
    let bytes = 0
    for (const seat of this.#seats) bytes += seat.heldBytes
    for (const { lanes } of this.#nodes.values()) {
      for (const { fetch } of lanes) bytes += fetch?.maxBytes ?? 0
    }
    return bytes
  }

  async #fetch(node: Node, lane: Lane, fetch: Fetch): Promise<void> {
    const since = performance.now()
    lane.fetch = fetch
    const fates = new Map<KafkaSeat, Fate>()
    for (const { seat } of fetch.asked) {
      seat.isBusy = true
      fates.set(seat, 'free')
    }
    let bytes = 0
    try {
      const limitMs = fetch.waitMs + answerLimitMs
      const asked = request(lane, fetch)
      const answer = await this.#brokers.askWithin(node.id, asked, limitMs, limitMs)
      for (const { batches } of answer.partitions) bytes += batches.length
      this.#put(answer, fetch, fates, since)
      if (answer.throttleMs > 0) void this.#leaveAlone(node, answer.throttleMs)
    } catch (thrown) {
      for (const seat of fates.keys()) {
        this.#failed(seat, thrown, since)
        fates.set(seat, 'rest')
      }
    }
    lane.fetch = undefined
    if (this.#isClosed) return
    const resting: KafkaSeat[] = []
    for (const [seat, fate] of fates) {
      if (fate === 'free') seat.isBusy = false
      else if (fate === 'rest') resting.push(seat)
    }
    void this.#rest(resting)
    this.#look()
    if (bytes < largeBytes) this.#changed()
    else setImmediate(this.#changed)
  }

  #put(answer: FetchedPartitions, fetch: Fetch, fates: Map<KafkaSeat, Fate>, since: number): void {
    if (answer.error !== kafkaErrors.NONE) throw retried('a fetch', answer.error)
    const asked = new Map(fetch.asked.map((one) => [keyOf(one.seat), one]))
    const now = performance.now()
    for (const fetched of answer.partitions) {
      const one = asked.get(keyOf(fetched))
      // It is read from elsewhere by now, or not at all.
      if (one === undefined || !this.#seats.has(one.seat) || one.seat.next !== one.offset) continue
      const { seat, isFirst } = one
      if (fetched.error !== kafkaErrors.NONE) {
        fates.set(seat, this.#refused(seat, fetched, since))
        continue
      }
      seat.put(fetched, one)
      if (fetched.batches.length > 0) seat.quietSince = now
      // Nobody was before it: a broker that gave it nothing goes on doing so for a while.
      const isStarved = isFirst && seat.isStarved && seat.leastBytes === 0
      if (isStarved || (this.#isBrief && fetched.batches.length === 0)) fates.set(seat, 'rest')
    }
  }

  #refused(seat: KafkaSeat, fetched: Fetched, since: number): Fate {
    const { error, topic } = fetched
    const what = keyOf(fetched)
    if (error === kafkaErrors.OFFSET_OUT_OF_RANGE) {
      void this.#finder.checkRange(seat).then((left) => this.#rest(left))
      return 'kept'
    }
    if (error === kafkaErrors.CORRUPT_MESSAGE) seat.fail(batchDamaged(seat, seat.next))
    else if (mayPass(error)) {
      this.#brokers.forgetTopic(topic)
      this.#failed(seat, retried(what, error), since)
    } else seat.fail(this.#brokers.refused(error, what, [right.topic('Read', topic)]))
    return 'rest'
  }

  /** `since`: it was in order until then. */
  #failed(seat: KafkaSeat, thrown: unknown, since: number): void {
    seat.leader = undefined
    if (this.#isClosed) return
    if (thrown instanceof HostError && thrown.retryable) {
      seat.note(thrown, since)
      this.#watch()
    } else seat.fail(thrown)
  }

  async #locate(seats: readonly KafkaSeat[]): Promise<void> {
    this.#isLocating = true
    for (const seat of seats) seat.isBusy = true
    const left = await this.#finder.locate(seats)
    this.#isLocating = false
    // Not by their leaders: one that was found may be over again.
    const unfound = new Set(left)
    for (const seat of seats) if (!unfound.has(seat)) seat.isBusy = false
    this.look()
    await this.#rest(left)
  }

  /** Before they are asked for again. */
  async #rest(seats: readonly KafkaSeat[]): Promise<void> {
    if (seats.length === 0) return
    this.#changed()
    const failures = Math.max(1, ...seats.map((seat) => seat.failures))
    await this.#brokers.pause(Math.min(restMaxMs, restMinMs * 2 ** (failures - 1)))
    for (const seat of seats) seat.isBusy = false
    this.look()
  }

  async #leaveAlone(node: Node, ms: number): Promise<void> {
    node.isResting = true
    await this.#brokers.pause(ms)
    node.isResting = false
    this.look()
  }

  /** What fails for long is told at its time, even while an answer is waited for. */
  #watch(): void {
    this.#alarm ??= setTimeout(() => {
      this.#alarm = undefined
      this.#changed()
      if ([...this.#seats].some(({ isTroubled }) => isTroubled)) this.#watch()
    }, tellAfterMs)
  }
}

function request({ isAside }: Lane, { asked, topicIds, maxBytes, waitMs }: Fetch) {
  return fetchRecords(
    { maxWaitMs: waitMs, minBytes: 1, maxBytes, topicIds, isAside },
    asked.map(({ seat, offset, maxBytes }) => ({
      topic: seat.topic,
      partition: seat.partition,
      offset,
      lastEpoch: seat.lastEpoch,
      currentEpoch: seat.leader?.leaderEpoch ?? -1,
      maxBytes,
    })),
  )
}

/** Whether the topic is another one by now, or is gone, its looking up tells. */
const mayPass = (error: number): boolean =>
  isPassing(error) ||
  error === kafkaErrors.UNKNOWN_TOPIC_ID ||
  error === kafkaErrors.INCONSISTENT_TOPIC_ID ||
  error === kafkaErrors.UNKNOWN_SERVER_ERROR

const retried = (what: string, error: number): HostError =>
  brokerUnavailable(new Error(`${what}: ${kafkaErrorName(error)}`))
