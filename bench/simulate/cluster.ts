// A group of instances in simulated time: the real assignor shares the partitions out, tables are copied at the rates that are assumed.
import type { Claim } from '../../host/log/kafka/claim.js'
import { nearnessOf } from '../../host/log/kafka/nearness.js'
import { hasMoreToTake, planOf } from '../../host/log/kafka/plan.js'
import type { TableLack } from '../../host/log/log.js'
import { Random } from '../../host/log/memory/random.js'
import type { Costs } from './costs.js'

/** A table's copy on an instance's disk: what it lacked at a time. */
interface Copy {
  readonly missingBytes: number
  readonly at: number
}

interface Member {
  readonly name: string
  owned: readonly number[]
  standbys: readonly number[]
  /** When its process has started. */
  readonly since: number
  /** What it said that it has warm. */
  claimed: ReadonlySet<number>
  readonly disk: Map<number, Copy>
  /** What is still missing of those that it follows and has not brought to their ends. */
  readonly replays: Map<number, number>
}

export interface ClusterOptions {
  readonly costs: Costs
  readonly seed: number
  /** Copies of each table beside its owner's. */
  readonly standbys: number
}

/** What the events of a scenario have come to. */
export interface Account {
  readonly rebalances: number
  /** Partitions that went to another owner. */
  readonly moved: number
  readonly replayedBytes: number
  /** In milliseconds, each time that a partition was not served by anybody. */
  readonly outages: readonly number[]
  /** On the disk of the one that has the most. */
  readonly mostDiskBytes: number
}

/** Below it nothing is left to replay: rounding. */
const noBytes = 1

export class Cluster {
  readonly #costs: Costs
  readonly #standbys: number
  readonly #random: Random
  readonly #members = new Map<string, Member>()
  /** Of those that are stopped. */
  readonly #disks = new Map<string, Map<number, Copy>>()
  readonly #tableBytes: readonly number[]
  /** Since when nobody serves it. */
  readonly #outSince = new Map<number, number>()
  /** When its owner may serve it, if its table is there. */
  readonly #opensAt = new Map<number, number>()
  readonly #owners = new Map<number, string>()
  #now = 0
  #sharedAt = 0
  #account = noAccount()

  constructor({ costs, seed, standbys }: ClusterOptions) {
    this.#costs = costs
    this.#standbys = standbys
    this.#random = new Random(seed)
    this.#tableBytes = this.#sizes()
    for (let n = 0; n < costs.instances; n += 1) this.#add(`host-${String(n).padStart(3, '0')}`)
    this.#share()
    for (const member of this.#members.values()) {
      for (const partition of [...member.owned, ...member.standbys]) {
        member.disk.set(partition, { missingBytes: 0, at: 0 })
      }
      member.replays.clear()
    }
    this.#outSince.clear()
    this.#account = noAccount()
  }

  get now(): number {
    return this.#now
  }

  get names(): readonly string[] {
    return [...this.#members.keys()]
  }

  get account(): Account {
    const used = [...this.#members.values()].map((member) => this.#diskBytes(member))
    return { ...this.#account, mostDiskBytes: Math.max(...used) }
  }

  /** They ask to join at once. */
  join(names: readonly string[]): void {
    for (const name of names) this.#add(name)
    this.rebalance()
  }

  /** It flushes, and says that it goes; its disk stays. */
  leave(name: string): void {
    this.#remove(name)
    this.pass(this.#costs.drainMs)
    this.rebalance()
  }

  /** Killed and started anew, it gives up the place that it had, and joins: before the others have missed it. */
  restart(name: string): void {
    this.#remove(name)
    this.pass(this.#costs.restartMs)
    this.join([name])
  }

  /** Its disk is gone with it; the group finds out when its session is over. */
  lose(name: string): void {
    this.#remove(name)
    this.#disks.delete(name)
    this.pass(this.#costs.sessionTimeoutMs)
    this.rebalance()
  }

  /** Until each partition is served. */
  untilServed(): void {
    while (this.#outSince.size > 0) this.#pass(this.#nextMs())
  }

  /** Until each warm copy is one, too, and nobody asks for more. */
  untilWarm(): void {
    for (;;) {
      while (this.#outSince.size > 0 || this.#rates().size > 0) this.#pass(this.#nextMs())
      if (![...this.#members.values()].some((member) => this.#asks(member))) return
      this.pass(Math.max(0, this.#sharedAt + this.#costs.probingIntervalMs - this.#now))
      this.rebalance()
    }
  }

  #asks({ owned, standbys, claimed }: Member): boolean {
    const made = standbys.filter((partition) => !claimed.has(partition))
    const all = [...this.#members.values()].map((one) => ({
      partitions: one.owned,
      standbys: one.standbys,
    }))
    return hasMoreToTake({ partitions: owned, standbys }, all, made, this.#standbys)
  }

  pass(ms: number): void {
    const end = this.#now + ms
    while (this.#now < end) this.#pass(Math.min(end - this.#now, this.#nextMs()))
  }

  /** All who are there hear of it by a heartbeat, flush and join again. */
  rebalance(): void {
    const { heartbeatMs, drainMs, joinMs } = this.#costs
    const begun = this.#now
    let last = 0
    for (const member of this.#members.values()) {
      const heardMs = this.#random.next() * heartbeatMs
      last = Math.max(last, heardMs + drainMs)
      for (const partition of member.owned) {
        if (!this.#outSince.has(partition)) this.#outSince.set(partition, begun + heardMs)
        this.#opensAt.set(partition, Number.POSITIVE_INFINITY)
      }
    }
    this.pass(last + joinMs)
    this.#share()
    // What needs nothing more is served in this moment.
    this.#pass(0)
  }

  #share(): void {
    const { partitions, fenceMs, acceptableLag, recordBytes } = this.#costs
    const claims = [...this.#members.values()].map((member) => this.#claim(member))
    const { owned: shares, copied: standbys } = planOf(claims, partitions, (partition) => {
      return this.#changelogBytes(partition) <= acceptableLag * recordBytes
    })
    this.#sharedAt = this.#now
    this.#account.rebalances += 1
    for (const member of this.#members.values()) {
      const owned = shares.get(member.name) ?? []
      this.#follow(member, owned, standbys.get(member.name) ?? [])
      owned.forEach((partition, at) => {
        if (this.#owners.get(partition) !== member.name) {
          this.#account.moved += 1
          this.#owners.set(partition, member.name)
        }
        this.#opensAt.set(partition, this.#now + (at + 1) * fenceMs)
      })
    }
  }

  #claim(member: Member): Claim {
    const { name, owned, replays } = member
    const { partitions, acceptableLag } = this.#costs
    const warm = followed(member).filter((partition) => !replays.has(partition))
    const lacks = Array.from({ length: partitions }, (_, partition) =>
      this.#lack(member, partition),
    )
    const nearness = nearnessOf(warm, lacks, acceptableLag)
    member.claimed = new Set(nearness.warm)
    return {
      member: name,
      topics: ['clicks'],
      instance: name,
      address: addressOf(name),
      owned,
      ...nearness,
      standbys: this.#standbys,
    }
  }

  /** What it is not to follow any more stays on its disk as it is. */
  #follow(member: Member, owned: readonly number[], standbys: readonly number[]): void {
    const before = new Set(followed(member))
    const after = new Set(followed({ owned, standbys }))
    for (const partition of before) {
      if (after.has(partition)) continue
      const missingBytes = member.replays.get(partition) ?? 0
      member.disk.set(partition, { missingBytes, at: this.#now })
      member.replays.delete(partition)
    }
    for (const partition of after) {
      if (before.has(partition)) continue
      member.replays.set(partition, this.#missing(member, partition))
    }
    member.owned = owned
    member.standbys = standbys
  }

  #lack(member: Member, partition: number): TableLack {
    const { recordBytes } = this.#costs
    const allBytes = this.#changelogBytes(partition)
    const bytes = member.replays.get(partition) ?? this.#missing(member, partition)
    const behind = bytes < allBytes ? bytes / recordBytes : undefined
    return { behind, all: allBytes / recordBytes }
  }

  #missing(member: Member, partition: number): number {
    const { partitions, changedBytesPerSecond } = this.#costs
    const all = this.#changelogBytes(partition)
    const copy = member.disk.get(partition)
    if (copy === undefined || this.#isDeleted(member, partition)) return all
    const changed = ((this.#now - copy.at) / 1_000) * (changedBytesPerSecond / partitions)
    return Math.min(all, copy.missingBytes + changed)
  }

  /** All that goes on at the rates of now: at most until the next thing happens. */
  #pass(ms: number): void {
    const rates = this.#rates()
    this.#now += ms
    for (const member of this.#members.values()) {
      const rate = rates.get(member.name) ?? 0
      for (const [partition, missing] of member.replays) {
        const read = Math.min(missing, (rate * ms) / 1_000)
        this.#account.replayedBytes += read
        if (missing - read < noBytes) {
          member.replays.delete(partition)
          member.disk.set(partition, { missingBytes: 0, at: this.#now })
        } else member.replays.set(partition, missing - read)
      }
    }
    for (const [partition, since] of this.#outSince) {
      if (!this.#isServed(partition)) continue
      this.#outSince.delete(partition)
      this.#account.outages.push(this.#now - since)
    }
  }

  #isServed(partition: number): boolean {
    const owner = this.#members.get(this.#owners.get(partition) ?? '')
    const isOpen = (this.#opensAt.get(partition) ?? 0) <= this.#now
    return isOpen && owner !== undefined && !owner.replays.has(partition)
  }

  /** Of each table that a member replays, side by side; brokers that hand out no more slow all of them down. */
  #rates(): ReadonlyMap<string, number> {
    const { replayBytesPerSecond, replayRecordsPerSecond, recordBytes } = this.#costs
    const { brokers, brokerReadBytesPerSecond } = this.#costs
    const replaying = [...this.#members.values()].filter(({ replays }) => replays.size > 0)
    const own = Math.min(replayBytesPerSecond, replayRecordsPerSecond * recordBytes)
    const all = brokers * brokerReadBytesPerSecond
    const rate = Math.min(own, all / replaying.length)
    return new Map(replaying.map(({ name, replays }) => [name, rate / replays.size]))
  }

  /** Until the next thing happens. */
  #nextMs(): number {
    const rates = this.#rates()
    let next = Number.POSITIVE_INFINITY
    for (const [name, rate] of rates) {
      for (const missing of this.#members.get(name)?.replays.values() ?? []) {
        next = Math.min(next, (missing / rate) * 1_000)
      }
    }
    for (const partition of this.#outSince.keys()) {
      const inMs = (this.#opensAt.get(partition) ?? 0) - this.#now
      if (inMs > 0) next = Math.min(next, inMs)
    }
    // A little more, so that rounding leaves nothing over.
    return next + 0.001
  }

  #add(name: string): void {
    const disk = this.#disks.get(name) ?? new Map<number, Copy>()
    this.#disks.set(name, disk)
    this.#members.set(name, {
      name,
      owned: [],
      standbys: [],
      since: this.#now,
      claimed: new Set(),
      disk,
      replays: new Map(),
    })
  }

  #remove(name: string): void {
    const member = this.#members.get(name)
    if (member === undefined) throw new Error(`${name} is not there`)
    for (const partition of member.owned) {
      if (!this.#outSince.has(partition)) this.#outSince.set(partition, this.#now)
    }
    this.#follow(member, [], [])
    this.#members.delete(name)
  }

  #changelogBytes(partition: number): number {
    return (this.#tableBytes[partition] ?? 0) * this.#costs.changelogRatio
  }

  /** A process counts the time anew for which it has not followed what lies there. */
  #isDeleted(member: Member, partition: number): boolean {
    const { disk, since } = member
    const at = Math.max(disk.get(partition)?.at ?? 0, since)
    return !followed(member).includes(partition) && this.#now - at > this.#costs.cleanupDelayMs
  }

  /** What it follows, or has followed until a short time ago, with what LevelDB has on top. */
  #diskBytes(member: Member): number {
    let bytes = 0
    for (const partition of new Set([...member.disk.keys(), ...member.replays.keys()])) {
      if (!this.#isDeleted(member, partition)) bytes += this.#tableBytes[partition] ?? 0
    }
    return bytes * this.#costs.diskRatio
  }

  /** Keys spread well, not perfectly. */
  #sizes(): readonly number[] {
    const { partitions, tableBytes } = this.#costs
    const weights = Array.from({ length: partitions }, () => 0.9 + 0.2 * this.#random.next())
    const all = weights.reduce((sum, weight) => sum + weight, 0)
    return weights.map((weight) => (tableBytes * weight) / all)
  }
}

const followed = ({ owned, standbys }: Pick<Member, 'owned' | 'standbys'>): readonly number[] => [
  ...owned,
  ...standbys,
]

const noAccount = () => ({ rebalances: 0, moved: 0, replayedBytes: 0, outages: [] as number[] })

/** Of the length that addresses have. */
export const addressOf = (name: string): string => `http://${name}.example.internal:7420`
