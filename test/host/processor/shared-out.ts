// Hosts of one group on one memory log: their partitions are shared out as the test will have it, and who writes for a generation that is
// over, or between two, is found out.
import type { LogWriter } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { Harness, type HarnessOptions } from './harness.js'

/** Partitions by host. */
export type Shares = readonly (readonly number[])[]

export class GroupOfHosts {
  readonly hosts: readonly Member[]
  /** What must not be. */
  readonly violations: string[] = []
  generation = 1
  #shares: Shares

  private constructor(log: MemoryLog, options: HarnessOptions, shares: Shares) {
    this.#shares = shares
    this.hosts = shares.map(() => new Member(this, log, options))
  }

  /** Started with their shares. */
  static async start(options: HarnessOptions, shares: Shares): Promise<GroupOfHosts> {
    const { seed = 1, faults = {} } = options
    const group = new GroupOfHosts(createMemoryLog({ seed, faults }), options, shares)
    const [first] = group.hosts
    await first?.prepare()
    await Promise.all(group.hosts.map((host, at) => host.start(shares[at])))
    return group
  }

  get shares(): Shares {
    return this.#shares
  }

  /** Who has it. */
  owner(partition: number): Member | undefined {
    return this.hosts[this.#shares.findIndex((share) => share.includes(partition))]
  }

  async revoke(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.revoke()))
  }

  /** `isNext`: no generation was left out. */
  async assign(shares: Shares, isNext = true): Promise<void> {
    this.generation += 1
    const before = this.#shares
    this.#shares = shares
    const assigned = this.hosts.map(async (host, at) => {
      const partitions = shares[at] ?? []
      const kept = isNext ? partitions.filter((one) => before[at]?.includes(one)) : []
      await host.assign(partitions, kept)
    })
    await Promise.all(assigned)
  }

  async end(): Promise<void> {
    for (const host of this.hosts) await host.crash()
    await this.hosts[0]?.log[Symbol.asyncDispose]()
  }
}

export class Member extends Harness {
  readonly #of: GroupOfHosts
  #isRevoked = false

  constructor(of: GroupOfHosts, log: MemoryLog, options: HarnessOptions) {
    super({ ...options, log: ownLog(log, (...place) => this.#open(log, ...place)) })
    this.#of = of
  }

  async revoke(): Promise<void> {
    if (this.isRunning) await this.group.revoke({ isLast: false })
    this.#isRevoked = true
  }

  /** One that does not run starts. */
  async assign(partitions: readonly number[], kept: readonly number[]): Promise<void> {
    this.#isRevoked = false
    if (!this.isRunning) return await this.start(partitions)
    const goOn = await this.group.assign({ partitions, kept, standbys: [] })
    goOn()
  }

  async #open(log: MemoryLog, ...place: Parameters<MemoryLog['openWriter']>): Promise<LogWriter> {
    this.#check(`opens partition ${place[1]}`)
    let generation = this.#of.generation
    const writer = await log.openWriter(...place)
    return {
      positions: writer.positions,
      commit: async (flush) => {
        this.#check(`commits in partition ${place[1]}`)
        return generation === this.#of.generation ? await writer.commit(flush) : { kind: 'fenced' }
      },
      renew: async () => {
        generation = this.#of.generation
      },
      [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
    }
  }

  #check(what: string): void {
    if (this.#isRevoked) this.#of.violations.push(`it ${what} while it is shared out anew`)
  }
}

/** The same log with writers of one's own. */
const ownLog = (log: MemoryLog, openWriter: MemoryLog['openWriter']): MemoryLog =>
  new Proxy(log, {
    get: (of, name) => {
      if (name === 'openWriter') return openWriter
      const found: unknown = Reflect.get(of, name, of)
      return typeof found === 'function' ? found.bind(of) : found
    },
    // What is put around it is put around the one of the host.
    set: (_, name, value) => {
      if (name === 'openWriter') openWriter = value
      return true
    },
  })
