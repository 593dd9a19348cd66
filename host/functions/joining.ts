// A function's place in its consumer group: which partitions it is assigned, joined for again until the log takes it in.
import { asHostError, HostError } from '../errors.js'
import type {
  Assignment,
  GroupEdges,
  GroupPeer,
  JoinOptions,
  Log,
  Membership,
  Refusal,
  TableLack,
} from '../log/log.js'

export interface JoiningOptions {
  readonly log: Pick<Log, 'join'>
  readonly instance: string
  /** How many others are to keep a copy of each partition's table. */
  standbysWanted(): number
  /** As in `JoinOptions`. */
  warm(): readonly number[]
  lacks(): Promise<readonly TableLack[]>
  isReady(): boolean
  readonly address?: string
  edges(): Pick<JoinOptions, 'group'> & {
    readonly partitions: number
    readonly inputs: readonly { readonly topic: string }[]
  }
  /** Those in which all have to agree that share its partitions. */
  agreed(): GroupEdges
  /** Of the code that runs. */
  version(): string
  /** Before each try. */
  prepare(): Promise<void>
  /** What does not last: `again` is to be called after a while. */
  failed(failure: HostError, again: () => Promise<void>): void
  /** Partitions were assigned: `assigned` is another. */
  takenUp(assignment: Assignment): Promise<void>
  /** It is about to ask to join: others would stand still while it gets ready. Never rejects. */
  ready(): Promise<void>
  /**
   * They are shared out anew: what it does not write before this resolves it must not write before `takenUp`, or `givenUp`.
   * `isLast`: it leaves.
   */
  revoked(isLast: boolean): Promise<void>
  /** It is no member any more. */
  givenUp(): Promise<void>
  /** Its partitions are another's by now, perhaps: at once, before `givenUp`. */
  lost(why: string): void
  /** It has been a member, and cannot join again yet. */
  troubled(failure: HostError): void
  /** As in `JoinOptions`. */
  left(others: readonly GroupPeer[]): Promise<void>
}

const nobody: readonly GroupPeer[] = []

export class Joining implements AsyncDisposable {
  readonly #options: JoiningOptions
  #membership: Membership | undefined
  #assigned: readonly number[] = []
  #standbys: readonly number[] = []
  #refusal: Refusal | undefined
  readonly #since = Date.now()
  readonly #end = new AbortController()
  /** Settles when nobody is joining. */
  #joining: Promise<unknown> = Promise.resolve()

  constructor(options: JoiningOptions) {
    this.#options = options
  }

  get assigned(): readonly number[] {
    return this.#assigned
  }

  get members(): readonly GroupPeer[] {
    return this.#membership?.members() ?? nobody
  }

  /** Of others, whose tables it is to keep a copy of. */
  get standbys(): readonly number[] {
    return this.#standbys
  }

  /** Why it gets nothing: others run with other edges. */
  get refusal(): Refusal | undefined {
    return this.#refusal
  }

  /** What it was assigned is its own for sure. */
  get holds(): boolean {
    return this.#membership?.holds() ?? true
  }

  /** Others say that its group has changed. */
  heartbeat(): void {
    this.#membership?.heartbeat?.()
  }

  /** Resolves when it has joined, or will try again by itself; rejects with what trying again would not mend. */
  async start(): Promise<void> {
    try {
      await this.#join()
    } catch (error) {
      if (this.#isDisposed) return
      const failure = asHostError(error)
      if (!failure.retryable) throw failure
      this.#later(failure)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new HostError('STOPPING', 'the function is stopping'))
    await this.#membership?.[Symbol.asyncDispose]()
    await this.#giveUp()
    // One that is on its way in would be a second member, with other inputs perhaps, beside the one that comes in this one's place.
    await this.#joining
  }

  get #isDisposed(): boolean {
    return this.#end.signal.aborted
  }

  async #join(): Promise<void> {
    const joining = this.#joinOnce()
    this.#joining = joining.catch(() => {})
    await joining
  }

  async #joinOnce(): Promise<void> {
    const { log, instance, address, edges, prepare, standbysWanted, warm, lacks } = this.#options
    const { agreed, version, isReady } = this.#options
    await prepare()
    if (this.#isDisposed) return
    const { group, inputs, partitions } = edges()
    const membership = await log.join({
      group,
      topics: inputs.map(({ topic }) => topic),
      instance,
      ...(address === undefined ? {} : { address }),
      partitions,
      runs: { edges: agreed(), since: this.#since, version },
      standbys: standbysWanted(),
      warm,
      lacks,
      isReady,
      signal: this.#end.signal,
      assigned: async (assignment) => {
        if (this.#isDisposed) return
        this.#assigned = assignment.partitions
        this.#standbys = assignment.standbys
        this.#refusal = assignment.refused
        await this.#options.takenUp(assignment)
      },
      ready: async () => {
        if (!this.#isDisposed) await this.#options.ready()
      },
      revoked: () => this.#revoke(),
      lost: (_, why) => {
        this.#options.lost(why)
        void this.#giveUp()
      },
      failed: (error) => this.#options.troubled(error),
      left: (others) => this.#options.left(others),
    })
    this.#membership = membership
    // Stopped meanwhile, by somebody who saw no membership.
    if (this.#isDisposed) await membership[Symbol.asyncDispose]()
  }

  #later(failure: HostError): void {
    this.#options.failed(failure, async () => {
      try {
        await this.#join()
      } catch (error) {
        if (!this.#isDisposed) this.#later(asHostError(error))
      }
    })
  }

  async #revoke(): Promise<void> {
    // Leaving, it comes for nothing that it has; others wait for no more than that it has flushed.
    const isAwaited = (this.#membership?.members().length ?? 0) > 1
    if (this.#isDisposed && !isAwaited) return await this.#giveUp()
    this.#assigned = []
    await this.#options.revoked(this.#isDisposed)
  }

  async #giveUp(): Promise<void> {
    this.#assigned = []
    this.#standbys = []
    await this.#options.givenUp()
  }
}
