// The visits of one function as the main thread has them: one at a time, and what is still known of one whose thread has died.
import { HostError, toPlainError } from '../errors.js'
import type { Logger } from '../logger.js'
import {
  unknownVisitor,
  type VisitProgress,
  type VisitReport,
  visitAborted,
  visitRunning,
} from '../processor/visiting.js'
import type { Condition } from './condition.js'
import { describeError } from './failure.js'
import type { KeptThread } from './kept-thread.js'
import type { VisitOrder } from './operation.js'
import type { Versions } from './versions.js'

export interface VisitsOptions {
  readonly name: string
  readonly condition: Condition
  readonly versions: Versions
  readonly thread: KeptThread
  readonly logger: Logger
}

interface Current {
  readonly order: VisitOrder
  last: VisitProgress
}

const nothingYet: VisitProgress = {
  visited: 0,
  failed: 0,
  vanished: 0,
  partitions: [],
  total: null,
}

export class Visits {
  readonly #options: VisitsOptions
  #current: Current | undefined

  constructor(options: VisitsOptions) {
    this.#options = options
  }

  /** Its thread tells how far it has come. */
  hear(progress: VisitProgress): void {
    const current = this.#current
    if (current === undefined) return
    current.last = progress
    current.order.progressed(progress)
  }

  /** Rejects with what the function's group does (`Group.visit`), and with VISIT_ABORTED when its thread dies. */
  async run(order: VisitOrder): Promise<VisitReport> {
    this.#assertVisitable(order)
    const { thread } = this.#options
    const { visitor, argument, isCounted, partitions, signal } = order
    const asked = partitions === undefined ? {} : { partitions }
    const current: Current = { order, last: nothingYet }
    this.#current = current
    const visiting = thread.visit({ visitor, argument, isCounted, ...asked })
    const end = () => visiting.end(signal.reason === 'drained' ? 'drained' : 'cancelled')
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    try {
      return await visiting.report
    } catch (error) {
      throw this.#failure(error, current)
    } finally {
      signal.removeEventListener('abort', end)
      this.#current = undefined
    }
  }

  #assertVisitable({ visitor }: VisitOrder): void {
    const { name, condition, versions } = this.#options
    const { visitors } = versions.running.description
    if (!visitors.includes(visitor)) throw unknownVisitor(name, visitor, visitors)
    if (this.#current !== undefined) throw visitRunning(name)
    const { state } = condition
    if (state === 'running') return
    if (state === 'paused' || state === 'halted') throw notRunning(name, state)
    throw new HostError('RECOVERING', `${name} is ${state}: try again when it runs`, {
      function: name,
    })
  }

  #failure(error: unknown, { order, last }: Current): unknown {
    const { name, versions, logger } = this.#options
    if (!(error instanceof HostError)) return error
    if (error.code === 'WORKER_DIED') {
      const { total: _, ...left } = last
      return visitAborted(name, order.visitor, 'died', { ...left, exact: false }, error)
    }
    if (error.code === 'VISIT_FAILED') {
      const { version } = versions.running.bundle
      const place = { version, partition: error.partition ?? 0 }
      const shown = versions.show(toPlainError(error.cause), place)
      logger.error(`${error.message}\n${describeError(shown)}`)
    }
    return error
  }
}

export function notRunning(
  name: string,
  why: 'paused' | 'halted' | 'refused',
  then: 'visit' | 'reset' = 'visit',
): HostError {
  const does = {
    paused: 'is paused: resume it',
    halted: 'has halted: mend it, or resume it',
    refused: 'does not run, since its file was refused: mend it',
  }[why]
  return new HostError('NOT_RUNNING', `${name} ${does}, then ${then}`, { function: name })
}
