// A function's place in its consumer group: which partitions it is assigned, joined for again until the log takes it in.
import { asHostError, type HostError } from '../errors.js'
import type { JoinOptions, Log, Membership } from '../log/log.js'

export interface JoiningOptions {
  readonly log: Log
  readonly instance: string
  edges(): Pick<JoinOptions, 'group'> & { readonly inputs: readonly { readonly topic: string }[] }
  /** Before each try. */
  prepare(): Promise<void>
  /** What does not last: `again` is to be called after a while. */
  failed(failure: HostError, again: () => Promise<void>): void
  /** Partitions were assigned, or taken away: `assigned` is another. */
  takenUp(): Promise<void>
  givenUp(): Promise<void>
}

export class Joining implements AsyncDisposable {
  readonly #options: JoiningOptions
  #membership: Membership | undefined
  #assigned: readonly number[] = []
  #isDisposed = false

  constructor(options: JoiningOptions) {
    this.#options = options
  }

  get assigned(): readonly number[] {
    return this.#assigned
  }

  /** Resolves when it has joined, or will try again by itself; rejects with what trying again would not mend. */
  async start(): Promise<void> {
    try {
      await this.#join()
    } catch (error) {
      const failure = asHostError(error)
      if (!failure.retryable) throw failure
      this.#later(failure)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#membership?.[Symbol.asyncDispose]()
    await this.#giveUp()
  }

  async #join(): Promise<void> {
    const { log, instance, edges, prepare } = this.#options
    await prepare()
    if (this.#isDisposed) return
    const { group, inputs } = edges()
    const membership = await log.join({
      group,
      topics: inputs.map(({ topic }) => topic),
      instance,
      assigned: async ({ partitions }) => {
        if (this.#isDisposed) return
        this.#assigned = partitions
        await this.#options.takenUp()
      },
      revoked: () => this.#giveUp(),
      lost: () => void this.#giveUp(),
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
        this.#later(asHostError(error))
      }
    })
  }

  async #giveUp(): Promise<void> {
    this.#assigned = []
    await this.#options.givenUp()
  }
}
