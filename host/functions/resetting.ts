// A running function is reset: stopped, and begun anew when all that it has made of its inputs is gone.
import type { HostError } from '../errors.js'
import type { Log } from '../log/log.js'
import type { Entries } from './entries.js'
import type { ResetReport } from './operation.js'
import type { Queues } from './queues.js'
import {
  dropLocal,
  dropNotes,
  type ResetNames,
  remainsOf,
  resetNames,
  resetSteps,
} from './reset.js'
import { notRunning } from './visits.js'

export interface ResettingOptions {
  readonly log: Log
  readonly namespace: string
  /** The folder in which each function has its store, absolute. */
  readonly tables: string
  readonly entries: Entries
  /** What befalls a function befalls it in turn. */
  readonly queues: Queues
  /** Starts the function as its file is, unless `check` throws. Never rejects. */
  update(name: string): Promise<void>
}

export class Resetting {
  readonly #options: ResettingOptions
  /** Why it is not started for now, by function. */
  readonly #held = new Map<string, HostError>()

  constructor(options: ResettingOptions) {
    this.#options = options
  }

  has(name: string): boolean {
    return this.#held.has(name)
  }

  /** Throws what the function is not started for. */
  check(name: string): void {
    const why = this.#held.get(name)
    if (why !== undefined) throw why
  }

  /** What goes with it; undefined: there is no such function. Throws NOT_RUNNING for one whose file was refused. */
  namesOf(name: string): ResetNames | undefined {
    const entry = this.#options.entries.get(name)
    if (entry === undefined) return undefined
    if (entry.cell === undefined) throw notRunning(name, 'refused', 'reset')
    return resetNames(entry.cell.description, this.#options.namespace)
  }

  /** All of it, where this is the only host that has it. */
  async run(name: string): Promise<ResetReport | undefined> {
    const { queues, update } = this.#options
    return await queues.inTurn(name, async () => {
      const names = this.namesOf(name)
      if (names === undefined) return undefined
      try {
        await this.#stop(name)
        const options = { ...this.#options, names }
        const remains = await remainsOf(options)
        for (const step of resetSteps(options, remains)) await step()
        return { topics: remains.topics.map((topic) => topic.name), positions: remains.positions }
      } finally {
        // Also when it was not done to its end: each step leaves what a start makes right.
        await update(name)
      }
    })
  }

  /** This host's part: the function is stopped, what lies here of it goes, and it is not started until `beginAnew`. `why` is shown. */
  async begin(name: string, names: ResetNames, why: HostError): Promise<void> {
    const { queues, tables, update } = this.#options
    this.#held.set(name, why)
    await queues.inTurn(name, async () => {
      await this.#stop(name)
      await dropLocal(tables, names)
      await update(name)
    })
  }

  async beginAnew(name: string): Promise<void> {
    const { queues, update } = this.#options
    this.#held.delete(name)
    await queues.inTurn(name, () => update(name))
  }

  /** It was reset while this host was not there. Before it is started. */
  async catchUp(names: ResetNames, deleted: readonly string[]): Promise<void> {
    await dropNotes(this.#options.tables, names, deleted)
  }

  async #stop(name: string): Promise<void> {
    await this.#options.entries.get(name)?.cell?.[Symbol.asyncDispose]()
  }
}
