// A host's place in one consumer group: joins it, keeps it by heartbeats, and gives its partitions up before they go to another.
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, type HostError } from '../../errors.js'
import { settlesWithin, unlessAborted } from '../../within.js'
import { haveSame } from '../group-edges.js'
import { heardOf } from '../heard-of.js'
import type { GroupPeer, JoinOptions, Membership, TableLack, TopicInfo } from '../log.js'
import { sharedPartitions } from '../sole-member.js'
import type { Brokers } from './brokers.js'
import { Deadline } from './deadline.js'
import { isExpelled, isPassing, kafkaErrors } from './error-codes.js'
import { packClaim, protocolName, unpackShare } from './group-data.js'
import type { OwnMembers, OwnPlace } from './members.js'
import { nearnessOf } from './nearness.js'
import { hasMoreToTake, type Taken } from './plan.js'
import { type Loss, notGivenUp, otherClient, wordsOfLoss } from './problems.js'
import { refusalOf } from './refusal.js'
import type { KafkaRequest, Response } from './request.js'
import { type JoinedGroup, joinGroup, leaveGroup, syncGroup } from './requests/group.js'
import { heartbeat } from './requests/heartbeat.js'
import type { GroupMember } from './requests/transaction.js'
import { right } from './rights.js'
import { runningEdges } from './running-edges.js'
import { claimsOf, sharesOf } from './shares.js'

export interface GroupTimes {
  /** Without a heartbeat for so long the group takes it for dead. */
  readonly sessionTimeoutMs: number
  readonly heartbeatMs: number
  /** What the others wait for it when they share out anew: its partitions have to be given up by then. */
  readonly rebalanceTimeoutMs: number
  /** How often the topics are looked at: somebody may have given one more partitions. */
  readonly metadataIntervalMs: number
}

/** When partitions move to a host that has to copy their tables first. */
export interface MoveSettings {
  /** A copy that lacks so many records is as good as one that lacks none. */
  readonly acceptableLag: number
  /** Nobody asks for another sharing out, because of the copies that it has made, earlier after the one before. */
  readonly probingIntervalMs: number
}

export interface MembershipOptions extends JoinOptions {
  /** Its own: closed with it. */
  readonly brokers: Brokers
  /** Not its own: whose connections nothing holds up. */
  readonly control: Brokers
  readonly members: OwnMembers
  readonly times: GroupTimes
  readonly moves: MoveSettings
  describe(topics: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>>
}

/** Of the session, counted from when the last heartbeat was sent that was answered; the rest is for clocks and for an answer on its way. */
const leased = 0.9
/** After so many intervals it asks, though not all is there that it was given to copy. */
const longestWait = 10
/** Of the interval, at random: copies of several that have joined together are there at the same time. */
const jitter = 0.2
/** The group finds out by the session of one that could not tell it that it leaves. */
const leaveMs = 1_000

/** Of a heartbeat: the session bounds it. */
const mayPass = (error: number): boolean =>
  isPassing(error) || error === kafkaErrors.UNKNOWN_SERVER_ERROR

/** What is looked up before it joins. */
interface Looked {
  readonly topics: ReadonlyMap<string, TopicInfo>
  readonly lacks: readonly TableLack[]
}

interface Assigned {
  readonly epoch: number
  readonly in: GroupMember
}

/** Resolves when the first assignment was taken; rejects with what keeps it from joining at all, or the signal's reason. */
export async function joinKafkaGroup(options: MembershipOptions): Promise<Membership> {
  const member = new KafkaMember(options)
  await member.start()
  return member
}

class KafkaMember implements Membership {
  readonly #options: MembershipOptions
  readonly #place: OwnPlace
  readonly #end = new AbortController()
  #member = ''
  /** Settles when it has been told its name, if it is asking for one. */
  #naming: Promise<unknown> = Promise.resolve()
  #epoch = 0
  #assigned: Assigned | undefined
  /** Also after they were given up: who had a partition gets it again. */
  #owned: readonly number[] = []
  #members: readonly GroupPeer[] = []
  #standbys: readonly number[] = []
  /** Partitions of which it has said, when it joined, that their tables are here. */
  #claimed: ReadonlySet<number> = new Set()
  /** Nobody is asked for more before. */
  #asksAt = 0
  /** What it was given last, as long as it has been a member since. */
  #given: { readonly generation: number; readonly partitions: readonly number[] } | undefined
  #heardAt = 0
  /** When the last heartbeat was sent whose answer knew of no other sharing out. */
  #settledAt = 0
  #lookedAt = 0
  #count = 0
  /** Aborted: the next heartbeat is due. */
  #due = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #leaving: Promise<void> | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#place = options.members.place(options.group)
    const { signal } = options
    if (signal?.aborted) this.#end.abort(signal.reason)
    const stop = () => this.#end.abort(signal?.reason)
    signal?.addEventListener('abort', stop)
    this.#end.signal.addEventListener('abort', () => {
      signal?.removeEventListener('abort', stop)
      this.heartbeat()
    })
  }

  members(): readonly GroupPeer[] {
    return this.#members
  }

  holds(): boolean {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options.times
    const now = performance.now()
    return (
      this.#assigned !== undefined &&
      now - this.#heardAt < sessionTimeoutMs * leased &&
      // Sharing out anew may have begun right then, and it does not wait longer for one that does not join.
      now - this.#settledAt < rebalanceTimeoutMs * leased
    )
  }

  heartbeat(): void {
    this.#due.abort()
  }

  async start(): Promise<void> {
    const { ready } = this.#options
    try {
      if (ready !== undefined) await unlessAborted(ready(), this.#end.signal)
      await this.#join()
    } catch (thrown) {
      await settlesWithin(this.#giveUpFormer(), leaveMs)
      await this.#leave().catch(() => {})
      this.#place.forget()
      await this.#options.brokers[Symbol.asyncDispose]()
      throw thrown
    }
    this.#running = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving ??= this.#depart()
    await this.#leaving
  }

  async #depart(): Promise<void> {
    this.#end.abort()
    await this.#running
    await this.#giveUp()
    const { instance, left } = this.#options
    const others = this.#members.filter((member) => member.instance !== instance)
    // Not before it has: they would ask too early. That it could not, they find out by its session.
    await this.#leave().then(
      () => left?.(others),
      () => {},
    )
    this.#place.forget()
    this.#members = []
    await this.#options.brokers[Symbol.asyncDispose]()
  }

  /** Never rejects: whatever happens, it joins again until it is to leave. */
  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const why = await this.#stay()
      if (this.#end.signal.aborted) return
      // While its partitions are given up: everybody waits for who joins last.
      const looked = this.#look()
      looked.catch(() => {})
      // Revoked, it has been heard of all the while: what it flushes still counts.
      if (why === 'rebalance') await this.#giveUp()
      else this.#lose(why)
      await this.#joinAgain(looked)
    }
  }

  /** Until the group is shared out anew, or it is out of it. */
  async #stay(): Promise<'rebalance' | Exclude<Loss, 'stuck'>> {
    const { times } = this.#options
    while (!this.#end.signal.aborted) {
      await this.#untilDue(times.heartbeatMs)
      if (this.#end.signal.aborted) break
      const error = await this.#beat()
      if (error === kafkaErrors.REBALANCE_IN_PROGRESS) return 'rebalance'
      if (isExpelled(error)) return 'expelled'
      // Joining again tells by whom and why.
      if (error !== kafkaErrors.NONE && !mayPass(error)) return 'refused'
      if (performance.now() - this.#heardAt > times.sessionTimeoutMs) return 'unheard'
      if (this.#hasMade() || (await this.#isOtherwise())) return 'rebalance'
    }
    return 'rebalance'
  }

  /** Copies that it was given are there, by which the group could share out better: once for each, since it claims them then. */
  #hasMade(): boolean {
    const { warm, standbys = 0, isReady, moves } = this.#options
    const late = performance.now() - this.#asksAt
    if (late < 0 || isReady?.() !== true) return false
    const made = (warm?.() ?? []).filter((partition) => !this.#claimed.has(partition))
    const isAll = this.#standbys.every((one) => this.#claimed.has(one) || made.includes(one))
    if (!isAll && late < moves.probingIntervalMs * longestWait) return false
    const own: Taken = { partitions: this.#owned, standbys: this.#standbys }
    return hasMoreToTake(own, this.#members, made, standbys)
  }

  /** Its topics have another number of partitions: what that means is found out by joining anew. */
  async #isOtherwise(): Promise<boolean> {
    const now = performance.now()
    if (now - this.#lookedAt < this.#options.times.metadataIntervalMs) return false
    this.#lookedAt = now
    const { topics, brokers } = this.#options
    try {
      const found = await this.#inTime(brokers.topics(topics))
      return [...found.values()].some(({ partitions }) => partitions.length !== this.#count)
    } catch {
      return false
    }
  }

  async #beat(): Promise<number> {
    const assigned = this.#assigned
    if (assigned === undefined) return kafkaErrors.UNKNOWN_MEMBER_ID
    try {
      const sentAt = performance.now()
      const { heartbeatMs } = this.#options.times
      const { error } = await this.#inTime(this.#ask(heartbeat(assigned.in), heartbeatMs))
      if (error === kafkaErrors.NONE || error === kafkaErrors.REBALANCE_IN_PROGRESS) {
        this.#heardAt = sentAt
      }
      if (error === kafkaErrors.NONE) this.#settledAt = sentAt
      // From now on its partitions may be another's.
      if (isExpelled(error)) this.#heardAt = Number.NEGATIVE_INFINITY
      return error
    } catch {
      // As long as the session lasts it may be heard again.
      return kafkaErrors.NETWORK_EXCEPTION
    }
  }

  /** Awaits what is flushed, and is heard of meanwhile; no longer than the group would wait for it, which does not wait where it leaves. */
  async #giveUp(): Promise<void> {
    const assigned = this.#assigned
    if (assigned === undefined) return
    const { revoked, times } = this.#options
    const end = performance.now() + times.rebalanceTimeoutMs
    // What it could not flush is read again by the next owner.
    const given = revoked(assigned.epoch).catch(() => {})
    while (!(await settlesWithin(given, times.heartbeatMs))) {
      if (performance.now() > end) return await this.#giveUpOn(given)
      await this.#beat()
    }
    this.#assigned = undefined
    this.#place.set(null)
  }

  /** Whatever is still at it is fenced by whoever has its partitions next. With others it could do nothing before it has ended. */
  async #giveUpOn(given: Promise<void>): Promise<void> {
    const { group, times, failed } = this.#options
    const { signal } = this.#end
    this.#lose('stuck')
    if (!signal.aborted) failed?.(notGivenUp(group, times.rebalanceTimeoutMs))
    await this.#leave().catch(() => {})
    await unlessAborted(given, signal).catch(() => {})
  }

  #lose(why: Loss): void {
    const { group, times } = this.#options
    const assigned = this.#assigned
    this.#assigned = undefined
    // Unheard of, it may be a member still: as another one it would wait until the group has given up the one that it was.
    if (why === 'expelled') this.#member = ''
    this.#owned = []
    this.#given = undefined
    this.#place.set(null)
    if (assigned !== undefined) this.#options.lost(assigned.epoch, wordsOfLoss(why, group, times))
  }

  async #joinAgain(looked: Promise<Looked>): Promise<void> {
    let ahead: Promise<Looked> | undefined = looked
    for (let pauseMs = 50; !this.#end.signal.aborted; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      try {
        await this.#join(ahead)
        return
      } catch (thrown) {
        if (this.#end.signal.aborted) return
        // A topic that is away, a cluster that cannot be reached: there is nothing to do without it.
        this.#options.failed?.(asHostError(thrown, 'LOG_FAILED'))
      }
      await this.#rest(pauseMs)
      ahead = undefined
    }
  }

  /** A request to join waits for all others: nobody waits for it when it is to leave. */
  async #join(looked = this.#look()): Promise<void> {
    const { signal } = this.#end
    const { topics, instance, address, standbys = 0, warm, runs, moves } = this.#options
    const { topics: described, lacks } = await looked
    const count = sharedPartitions(this.#options, described).length
    this.#count = count
    this.#lookedAt = performance.now()
    // As of each try: put out of the group, it has nothing any more that others may not have by then.
    const claim = () => {
      const version = runs && { ...runs, version: runs.version() }
      const nearness = nearnessOf(warm?.() ?? [], lacks, moves.acceptableLag)
      this.#claimed = new Set(nearness.warm)
      const owned = this.#owned
      return packClaim({ topics, instance, address, owned, standbys, ...nearness, ...version })
    }
    while (!signal.aborted) {
      const joined = await unlessAborted(this.#askToJoin(claim()), signal)
      if (joined.error === kafkaErrors.MEMBER_ID_REQUIRED) continue
      if (isExpelled(joined.error)) {
        this.#expelled()
        continue
      }
      if (joined.error !== kafkaErrors.NONE) throw this.#refused(joined.error)
      const own = {
        group: this.#options.group,
        generation: joined.generation,
        member: joined.member,
      }
      // The session counts from then on at the latest, however long the answer takes.
      const sentAt = performance.now()
      // From the leader alone.
      const isLeader = joined.leader === joined.member
      const shares = isLeader ? await this.#shareOut(joined, lacks) : new Map<string, Uint8Array>()
      const synced = await unlessAborted(this.#ask(syncGroup(own, shares)), signal)
      if (synced.error === kafkaErrors.REBALANCE_IN_PROGRESS) continue
      if (isExpelled(synced.error)) {
        this.#expelled()
        continue
      }
      if (synced.error !== kafkaErrors.NONE) throw this.#refused(synced.error)
      signal.throwIfAborted()
      await this.#take(own, synced.assignment, sentAt)
      return
    }
    signal.throwIfAborted()
  }

  /** To all members. Whoever leads the group does it for those that run it, with their edges, though its own may be others. */
  async #shareOut(
    joined: JoinedGroup,
    lacks: readonly TableLack[],
  ): Promise<ReadonlyMap<string, Uint8Array>> {
    const { group, topics, describe, moves } = this.#options
    const claims = claimsOf(joined)
    const running = runningEdges(claims)
    const count = async () => {
      if (haveSame(running.topics, topics)) return this.#count
      const read = { group, topics: running.topics }
      return sharedPartitions(read, await this.#inTime(describe(running.topics))).length
    }
    // Of another table nothing is known.
    const all = running.claims.some(({ member }) => member === joined.member) ? lacks : []
    const isShort = (partition: number) =>
      (all[partition]?.all ?? Number.POSITIVE_INFINITY) <= moves.acceptableLag
    return sharesOf(claims, running, running.edges?.partitions ?? (await count()), isShort)
  }

  /** It is who it is told to be, whether or not anybody waits for it any more: left behind, others would wait for it. */
  async #askToJoin(metadata: Uint8Array): Promise<JoinedGroup> {
    const { group, times } = this.#options
    const claim = { group, member: this.#member, protocol: protocolName, metadata, ...times }
    const asking = this.#ask(joinGroup(claim)).then((joined) => {
      const { error, member } = joined
      if (error === kafkaErrors.NONE || error === kafkaErrors.MEMBER_ID_REQUIRED) {
        this.#member = member
        this.#place.joining(member)
      }
      return joined
    })
    // At once, unless it has a name already.
    if (claim.member === '') this.#naming = asking.catch(() => {})
    // Not before: the others would share out what the former had, and once more when this one has joined.
    else void this.#giveUpFormer()
    return await asking
  }

  async #look(): Promise<Looked> {
    const [topics, lacks] = await Promise.all([this.#described(), this.#lacks()])
    return { topics, lacks }
  }

  /** Nobody waits for it long: without it others may get what it has, and no more. */
  async #lacks(): Promise<readonly TableLack[]> {
    const asked = this.#options.lacks?.() ?? Promise.resolve([])
    return await this.#inTime(asked).catch(() => [])
  }

  /** They are there, or were: who does not know them may not have heard of them yet. */
  async #described(): Promise<Looked['topics']> {
    const { describe, topics } = this.#options
    const { signal } = this.#end
    return await heardOf(topics, (names) => unlessAborted(describe(names), signal), {
      now: () => performance.now(),
      rest: (ms) => this.#rest(ms),
    })
  }

  async #take(own: GroupMember, told: Buffer, heardAt: number): Promise<void> {
    const share = unpackShare(told)
    const { partitions, standbys, members } = share
    const kept = this.#keptOf(partitions, own.generation)
    this.#epoch += 1
    this.#heardAt = heardAt
    this.#settledAt = heardAt
    this.#owned = partitions
    this.#members = members
    this.#standbys = standbys
    const interval = this.#options.moves.probingIntervalMs
    this.#asksAt = performance.now() + interval * (1 + Math.random() * jitter)
    this.#given = { generation: own.generation, partitions }
    this.#assigned = { epoch: this.#epoch, in: own }
    // First: whoever opens a writer because of it asks for it.
    this.#place.set(own)
    const refused = refusalOf(this.#options, share)
    const assignment = { epoch: this.#epoch, partitions, kept, standbys }
    await this.#heardWhile(this.#options.assigned({ ...assignment, ...(refused && { refused }) }))
  }

  /** What is taken up slowly must not cost it its place. What is heard meanwhile is seen by the heartbeat that comes next. */
  async #heardWhile(work: Promise<void>): Promise<void> {
    while (!(await settlesWithin(work, this.#options.times.heartbeatMs))) await this.#beat()
    await work
  }

  /** In a generation between the two that it was not given to it, a partition may have been another's. */
  #keptOf(partitions: readonly number[], generation: number): number[] {
    const before = this.#given
    if (before?.generation !== generation - 1) return []
    return partitions.filter((partition) => before.partitions.includes(partition))
  }

  #expelled(): void {
    this.#member = ''
    this.#owned = []
    this.#given = undefined
  }

  /** The group would wait for it until its session is over. */
  async #giveUpFormer(): Promise<void> {
    const { group, members, control, times } = this.#options
    const member = members.former(group)
    if (member === undefined) return
    // Has it been missed already, there is nothing to give up. Behind the request to join it would not even be read.
    await this.#ask(leaveGroup({ group, member }), times.sessionTimeoutMs, control).catch(() => {})
  }

  async #leave(): Promise<void> {
    const { group, control } = this.#options
    await settlesWithin(this.#naming, leaveMs)
    if (this.#member === '') return
    // Behind its own request to join, which waits for others, it would not even be read.
    const leaving = this.#ask(leaveGroup({ group, member: this.#member }), leaveMs, control)
    this.#member = ''
    await new Deadline(leaveMs, control.signal).bound(leaving)
  }

  /** Ends early when it is to leave, too. */
  async #untilDue(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#due.signal }).catch(() => {})
    if (this.#due.signal.aborted) this.#due = new AbortController()
  }

  /** Ends early when it is to leave. */
  async #rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#end.signal }).catch(() => {})
  }

  /** The group's coordinator; which broker that is may have changed. */
  async #ask<R extends Response & { readonly error: number }>(
    request: KafkaRequest<R>,
    withinMs?: number,
    brokers = this.#options.brokers,
  ): Promise<R> {
    const { group } = this.#options
    const soon = { ...request, answerMs: this.#patienceMs }
    return await brokers.askCoordinator('group', group, soon, withinMs)
  }

  /** Several of them fit into a session. */
  get #patienceMs(): number {
    return this.#options.times.sessionTimeoutMs / 3
  }

  /** Not waited for longer: what is behind it cannot be reached. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    return await new Deadline(this.#patienceMs, this.#options.brokers.signal).bound(work)
  }

  #refused(error: number): HostError {
    const { brokers, group } = this.#options
    if (error === kafkaErrors.INCONSISTENT_GROUP_PROTOCOL) return otherClient(group)
    return brokers.refused(error, `the group ${group}`, [right.group('Read', group)])
  }
}
