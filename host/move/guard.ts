// Keeps functions from running on a log to which a move is under way: they would begin at the oldest record.
import { HostError } from '../errors.js'
import type { Log } from '../log/log.js'
import { settlesWithin } from '../within.js'
import { readNotes, unfinishedMove } from './journal.js'
import { Patience } from './patience.js'

const readBytes = 64 * 1024

export class MoveGuard {
  readonly #namespace: string
  #checked: Promise<void> | undefined

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  /** Asked once, if it can be told. Rejects with MOVE_UNFINISHED, and with what the log says when it cannot be asked. */
  async check(log: Log): Promise<void> {
    this.#checked ??= this.#look(log)
    const checking = this.#checked
    try {
      await checking
    } catch (thrown) {
      if (this.#checked === checking) this.#checked = undefined
      throw thrown
    }
  }

  /** As `check`, for so long: what cannot be told by then is for whoever makes topics or joins a group. */
  async checkWithin(log: Log, ms: number): Promise<void> {
    const checking = this.check(log)
    if (!(await settlesWithin(checking, ms))) return
    await checking.catch((thrown: unknown) => {
      if (thrown instanceof HostError && thrown.retryable) return
      throw thrown
    })
  }

  async #look(log: Log): Promise<void> {
    const { signal } = new AbortController()
    // The log is patient by itself.
    const patience = new Patience({ patienceMs: 0, signal, notice: () => {} })
    const notes = await readNotes({ log, readBytes, patience, signal }, this.#namespace)
    const unfinished = unfinishedMove(notes, this.#namespace)
    if (unfinished !== undefined) throw unfinished
  }
}
