// What a function's thread tells of itself, and what comes of it for the function's condition and for the thread.
import { fromPlainError, type HostError, type PlainError, toPlainError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { VisitProgress } from '../processor/visiting.js'
import type { ShownError } from './catalog.js'
import type { Condition } from './condition.js'
import { headline, placeLines } from './error-lines.js'
import { describeError, showError } from './failure.js'
import type { KeptThread, ThreadFailure } from './kept-thread.js'
import type { RecordPlace } from './messages.js'
import type { ThreadMessage } from './thread.js'
import type { Versions } from './versions.js'

export interface HearingOptions {
  readonly condition: Condition
  readonly versions: Versions
  readonly thread: KeptThread
  readonly logger: Logger
  /** A partition was opened: from now on it handles records. */
  opened(): void
  /** What it reads has changed: another has to take its place. */
  outdated(): void
  changed(): void
  /** A visit has come further. */
  visiting(progress: VisitProgress): void
}

export class Hearing {
  readonly #options: HearingOptions
  /** Why it could not join its group when it tried last. */
  #unjoined: ShownError | undefined

  constructor(options: HearingOptions) {
    this.#options = options
  }

  hear(message: ThreadMessage): void {
    const { condition, versions, thread, logger } = this.#options
    switch (message.kind) {
      case 'recovering':
      case 'running':
        this.#opened(message.partition, message.kind)
        break
      case 'progressed':
        condition.progressed(message)
        return
      case 'standby':
        condition.copied(message.partition, message.state)
        if (message.state === 'following')
          logger.debug('stands by', { partition: message.partition })
        break
      case 'wiping':
        condition.wiped(message.partition)
        break
      case 'cutOff':
        condition.isCutOff = message.isCutOff
        break
      case 'fenced':
        condition.lost(message.partition)
        logger.warn('another owner took a partition over', { partition: message.partition })
        break
      case 'resumed':
        condition.resumed()
        break
      case 'waiting':
        this.#waits(message.whatFor)
        break
      case 'outdated':
        logger.warn(`begins anew: ${message.error.message}`)
        this.#options.outdated()
        break
      case 'detached':
        thread.reopen(fromPlainError(message.error))
        break
      case 'halted':
        this.#halted(message.error, message.place)
        break
      case 'skipped': {
        const shown = versions.show(message.error, message.place)
        logger.warn(`record skipped\n${describeError(shown)}`, placeFields(message.place))
        break
      }
      case 'retrying': {
        const { place, of, pauseMs } = message
        const shown = versions.show(message.error, place)
        const text = [headline(shown), ...placeLines(shown)].join(' at ')
        logger.warn(
          `attempt 1 of ${of} has failed, the next in ${pauseMs} ms: ${text}`,
          placeFields(place),
        )
        return
      }
      case 'visiting':
        this.#options.visiting(message.progress)
        return
      case 'unstartable':
        this.#cannotStart(message.error)
        break
      case 'log':
        logger[message.level](
          message.message,
          JSON.parse(message.fields, (name, value: unknown) =>
            name === 'stack' && typeof value === 'string' ? versions.mapped(value) : value,
          ),
        )
        return
    }
    this.#options.changed()
  }

  /** Its thread, its table or its joining; tried again. */
  failed({ what, error, pauseMs }: ThreadFailure, assigned: readonly number[]): void {
    const { condition, versions, logger } = this.#options
    if (error.code === 'STORE_DAMAGED' || error.code === 'STORE_FAILED') condition.storeLost()
    if (condition.isHeld && condition.phase === 'active') {
      // Its table alone: why it does not run stays shown.
      logger.error(`${what}: tried again in ${pauseMs} ms\n${error.message}`)
      return
    }
    condition.recovering(assigned)
    const shown = showError(toPlainError(error), versions.running.bundle)
    // A thread that died may do so again; the rest has passed when everything runs.
    if (error.code === 'WORKER_DIED') condition.failure = shown
    else condition.trouble = shown
    logger.error(`${what}: started anew in ${pauseMs} ms\n${describeError(shown)}`)
    this.#options.changed()
  }

  /** Told once, when something is not there at all: what is only being brought up is there in a moment. */
  #waits(whatFor: readonly string[]): void {
    const { condition, logger } = this.#options
    const before = condition.waitingFor
    condition.waitingFor = whatFor
    for (const what of whatFor) {
      if (/does not exist yet|cut off/.test(what) && !before.includes(what))
        logger.warn(`waits for ${what}`)
    }
  }

  /** What was told of last kept it from its group. */
  notJoined(): void {
    this.#unjoined = this.#options.condition.trouble ?? undefined
  }

  /** Its membership of its group, which it tries to get again. */
  troubled(error: HostError): void {
    const { condition, versions, logger } = this.#options
    const isKnown = condition.trouble?.code === error.code
    this.#unjoined = showError(toPlainError(error), versions.running.bundle)
    condition.trouble = this.#unjoined
    if (!isKnown) logger.error(`cannot join its group yet: ${error.message}`, { code: error.code })
    this.#options.changed()
  }

  /** Its group has been shared out: without it, or, undefined, with it. */
  sharedOut(refused: HostError | undefined): void {
    const { condition, versions, logger } = this.#options
    const before = condition.refused
    // It has joined. What keeps its thread from running is told by that, which may have nothing new to open.
    if (condition.trouble === this.#unjoined) condition.trouble = null
    if (refused === undefined) {
      condition.refused = null
      if (before !== null) logger.info('its group runs with its edges now')
      return
    }
    condition.trouble = null
    if (before?.message === refused.message) return
    condition.refused = showError(toPlainError(refused), versions.running.bundle)
    logger.error(refused.message, { code: refused.code })
  }

  #opened(partition: number, state: 'recovering' | 'running'): void {
    const { condition, versions, logger } = this.#options
    condition.opened(partition, state)
    this.#options.opened()
    if (state === 'running' && ['running', 'paused'].includes(condition.state)) {
      condition.trouble = null
      logger.info(condition.state, { version: versions.running.bundle.version })
    }
  }

  #halted(error: PlainError, place: RecordPlace): void {
    const { condition, versions, thread, logger } = this.#options
    if (error.code === 'STORE_DAMAGED') {
      thread.reopen(fromPlainError(error))
      return
    }
    const shown = versions.show(error, place)
    condition.halted(shown, place.partition)
    logger.error(
      `halted: it goes on at this record when a mended version is saved, or with millrace resume\n${describeError(shown)}`,
      placeFields(place),
    )
  }

  #cannotStart(error: PlainError): void {
    const { condition, versions, thread, logger } = this.#options
    const failure = fromPlainError(error, 'LOAD_FAILED')
    if (failure.code === 'STORE_DAMAGED' || failure.code === 'STORE_FAILED') {
      // It takes nothing until every handle on it is closed.
      thread.reopen(failure)
    } else if (failure.retryable) thread.retry('cannot start', failure)
    else {
      // The bundle's own fault: the same again would end the same.
      void thread.end()
      condition.isGivenUp = true
      const shown = showError(error, versions.running.bundle)
      condition.halted(shown)
      logger.error(`cannot start until a mended version is saved\n${describeError(shown)}`)
    }
  }
}

function placeFields({ stream, partition, offset, key, attempts }: RecordPlace) {
  return { stream, partition, offset, key, attempts }
}
