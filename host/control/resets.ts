// A function is reset on all instances: each stops it, one of them deletes what it has made when its group is empty, then each starts it.
import { setTimeout as rest } from 'node:timers/promises'
import { asHostError, fromPlainError, HostError } from '../errors.js'
import type { Resetting } from '../functions/resetting.js'
import type { Log } from '../log/log.js'
import type { Logger } from '../logger.js'
import { settlesWithin } from '../within.js'
import type { ResetWish } from './wish.js'

export interface ResetTimes {
  /** Between two tries at what cannot be deleted yet. */
  readonly retryMs: number
  /** Whoever did not ask for it does its part after so long: the one who did may be dead. */
  readonly takeOverMs: number
}

export interface ResetsOptions {
  readonly log: Pick<Log, 'remove'>
  readonly instance: string
  readonly logger: Logger
  readonly times: ResetTimes
  readonly resetting: Pick<Resetting, 'begin' | 'beginAnew' | 'catchUp'>
  say(wish: ResetWish): Promise<unknown>
  /** Resolves when this host has read all that had been said, of the function, when it was called. */
  readAll(name: string): Promise<unknown>
}

interface Current {
  readonly wish: ResetWish
  /** Those that end with it. */
  readonly ids: readonly string[]
}

export class Resets implements Disposable {
  readonly #options: ResetsOptions
  readonly #end = new AbortController()
  /** By function: those that have not come to their end. */
  readonly #current = new Map<string, Current>()
  /** Of those who wait for the end of one, by its id. */
  readonly #waiting = new Map<string, Set<(failure?: HostError) => void>>()

  constructor(options: ResetsOptions) {
    this.#options = options
  }

  /** Resolves when what this host has to do about it is done; in the phase `stop` that is only its own part. */
  async hear(wish: ResetWish): Promise<void> {
    if (wish.phase === 'stop') await this.#begin(wish)
    else await this.#finish(wish)
  }

  /** As it was found when the host began to listen: resolves when functions may be started. */
  async find(wish: ResetWish): Promise<void> {
    // Held from now on; a file that is being loaded has its turn, and waits for this.
    if (wish.phase === 'stop') void this.#begin(wish)
    // Its `stop` was found before, when something else went wrong.
    else if (this.#current.has(wish.function)) void this.#finish(wish)
    else {
      const { names, topics } = wish
      await this.#options.resetting.catchUp(
        names,
        topics.map(({ id }) => id),
      )
    }
  }

  underWay(name: string): ResetWish | undefined {
    return this.#current.get(name)?.wish
  }

  /**
   * Resolves when the function has begun anew here, with true; rejects as `saying` does, with why the reset was given up, and with
   * WAIT_TIMEOUT. False: another reset counted already when it was said.
   */
  async whileOver(
    wish: ResetWish,
    withinMs: number,
    saying: () => Promise<void>,
  ): Promise<boolean> {
    const { id, function: name, names } = wish
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting)
    let isOver = false
    let settle: (failure?: HostError) => void = () => {}
    const over = new Promise<void>((resolve, reject) => {
      settle = (failure) => {
        isOver = true
        if (failure === undefined) resolve()
        else reject(failure)
      }
    })
    // It may end before it is waited for.
    over.catch(() => {})
    waiting.add(settle)
    try {
      await saying()
      if (!isOver && !this.#current.get(name)?.ids.includes(id)) return false
      if (await settlesWithin(over, withinMs)) {
        await over
        return true
      }
      throw new HostError(
        'WAIT_TIMEOUT',
        `${name} is still being reset: an instance has not stopped it, and its group ${names.group} has members. It goes on by itself; look which hosts do not answer`,
        { function: name },
      )
    } finally {
      waiting.delete(settle)
      if (waiting.size === 0) this.#waiting.delete(id)
    }
  }

  [Symbol.dispose](): void {
    this.#end.abort()
    this.#tell([...this.#waiting.keys()], stopping())
  }

  async #begin(wish: ResetWish): Promise<void> {
    const { function: name, by } = wish
    this.#options.logger.info('is being reset', { function: name, by })
    // Another asking for the same ends with this one.
    const before = this.#current.get(name)
    this.#current.set(name, { wish, ids: [...(before?.ids ?? []), wish.id] })
    await this.#stop(wish)
    void this.#lead(wish)
  }

  async #stop({ function: name, names, by, at }: ResetWish): Promise<void> {
    const { resetting, logger } = this.#options
    const why = `${name} is being reset, by ${by} since ${at}: it begins anew when every instance has stopped it`
    try {
      await resetting.begin(name, names, new HostError('RECOVERING', why, { function: name }))
    } catch (error) {
      // What lies here is told by its topic's id when it is opened again.
      const { message } = asHostError(error)
      logger.warn(`what this host has of it could not be deleted: ${message}`, { function: name })
    }
  }

  /** Several may do it at once: each topic goes by its id, and a group that has members again is left alone. Never rejects. */
  async #lead(wish: ResetWish): Promise<void> {
    const { log, instance, logger, say, readAll, times } = this.#options
    const { function: name, names, topics } = wish
    if (wish.by !== instance) await this.#rest(times.takeOverMs)
    let told: string | undefined
    while (this.#isCurrent(wish)) {
      try {
        // A group goes by its name. With all read nobody has come to the end of the reset, and begun anew, without this host.
        await readAll(name)
        if (!this.#isCurrent(wish)) return
        await log.remove(
          topics.map((topic) => topic.name),
          { groups: [names.group], ids: topics.map(({ id }) => id) },
        )
        if (this.#isCurrent(wish)) await say({ ...wish, phase: 'go' })
        return
      } catch (error) {
        const failure = asHostError(error, 'LOG_FAILED')
        if (!this.#isCurrent(wish)) return
        if (!failure.retryable) await this.#giveUp(wish, failure)
        else if (failure.code !== told) {
          logger.warn(`its reset waits: ${failure.message}`, { function: name, code: failure.code })
        }
        told = failure.code
      }
      await this.#rest(times.retryMs)
    }
  }

  /** What there is then is right: a group without positions takes those that its table has. */
  async #giveUp(wish: ResetWish, { code, message }: HostError): Promise<void> {
    await this.#options
      .say({ ...wish, phase: 'go', failure: { code, message } })
      // Tried again as all of it.
      .catch(() => {})
  }

  async #finish(wish: ResetWish): Promise<void> {
    const { function: name, failure } = wish
    const { resetting, logger } = this.#options
    const current = this.#current.get(name)
    this.#current.delete(name)
    // Its beginning was not heard: the brokers were away.
    if (current === undefined) await this.#stop(wish)
    // Another may have begun while this host stopped it: then it begins anew with that one's end.
    if (!this.#current.has(name)) await resetting.beginAnew(name)
    if (failure === undefined) logger.info('reset on all instances', { function: name })
    else logger.error(`was not reset: ${failure.message}`, { function: name, code: failure.code })
    const why = failure && fromPlainError({ name: 'HostError', ...failure })
    this.#tell([...(current?.ids ?? []), wish.id], why)
  }

  #tell(ids: readonly string[], failure?: HostError): void {
    for (const id of ids) for (const settle of this.#waiting.get(id) ?? []) settle(failure)
  }

  #isCurrent({ function: name, id }: ResetWish): boolean {
    return !this.#end.signal.aborted && this.#current.get(name)?.wish.id === id
  }

  async #rest(ms: number): Promise<void> {
    await rest(ms, undefined, { signal: this.#end.signal }).catch(() => {})
  }
}

const stopping = (): HostError =>
  new HostError('STOPPING', 'the host stops; the reset goes on without it')
