// A visit of all partitions that a function has: one at a time, and what its caller is told in the end.
import { asHostError, fromPlainError, HostError } from '../errors.js'
import { nearest } from '../nearest.js'
import type { Clock } from './clock.js'
import type { Program, Source } from './program.js'
import type { RecordFailure } from './runner.js'
import type { Task } from './task.js'
import { Visit, type VisitCounts, visitStream } from './visit.js'

export interface VisitRequest {
  readonly visitor: string
  /** Given to each visit, the same one. */
  readonly argument: unknown
  /** Tells how many keys there are in all, as soon as they are counted. */
  readonly isCounted: boolean
  /** That the group has to have, and no others. Absent: whichever it has. */
  readonly partitions?: readonly number[]
  /** At the beginning, and whenever more of it is stored. */
  progressed(progress: VisitProgress): void
}

export interface VisitReport extends VisitCounts {
  readonly partitions: readonly number[]
}

export interface VisitProgress extends VisitReport {
  /** Of keys when it began; null: not counted, or not yet. */
  readonly total: number | null
}

/** What becomes of a visit that does not come to its end: in the details of VISIT_ABORTED and VISIT_FAILED. */
export interface VisitLeft extends VisitReport {
  /** False: the last flush may have been written beyond what is counted. */
  readonly exact: boolean
  /** Of these partitions, if it is not exact. */
  readonly doubtful?: readonly number[]
}

const reasons = {
  cancelled: 'whoever asked for it has gone',
  swapped: 'another version took its place',
  paused: 'the function was paused',
  halted: 'the function has halted at a record',
  drained: 'the function was stopped, or its partitions were shared out anew',
  lost: 'a partition was lost, or had to be opened anew',
  died: 'its thread has ended',
  unreachable: 'an instance that has some of its partitions does not answer',
  refused: 'an instance that has some of its partitions does not begin',
} as const

export type VisitEnd = keyof typeof reasons

interface Current {
  readonly visits: readonly Visit[]
  readonly tasks: readonly Task[]
  why: VisitEnd | undefined
  readonly ended: Promise<unknown>
}

export class Visiting {
  readonly #function: string
  readonly #clock: Clock
  readonly #attemptGraceMs: number
  #current: Current | undefined

  constructor(of: {
    readonly function: string
    readonly clock: Clock
    /** How long a visitor may go on when the visit is to end; then it is given up. */
    readonly attemptGraceMs: number
  }) {
    this.#function = of.function
    this.#clock = of.clock
    this.#attemptGraceMs = of.attemptGraceMs
  }

  /** Rejects with UNKNOWN_VISITOR, VISIT_RUNNING, RECOVERING if others are asked for than there are, and what a visit has come to that does not end well: VISIT_FAILED, VISIT_ABORTED. */
  async run(program: Program, tasks: readonly Task[], request: VisitRequest): Promise<VisitReport> {
    const source = this.#source(program, request)
    if (this.#current !== undefined) throw visitRunning(this.#function)
    const partitions = tasks.map(({ partition }) => partition).sort((a, b) => a - b)
    this.#assertAsked(partitions, request)
    const report = () => ({ ...sumOf(visits.map(({ stored }) => stored)), partitions })
    const progressed = () => request.progressed({ ...report(), total: totalOf(visits) })
    const visits = tasks.map(
      (): Visit =>
        new Visit({
          source,
          timestamp: this.#clock.wallTime(),
          isCounted: request.isCounted,
          progressed,
          ended: () => stopAll(visits),
        }),
    )
    const work = tasks.map(async (task, index) => {
      const visit = visits[index]
      if (visit !== undefined) await task.visit(visit)
    })
    const current: Current = { visits, tasks, why: undefined, ended: Promise.all(work) }
    this.#current = current
    try {
      progressed()
      await current.ended
    } finally {
      this.#current = undefined
    }
    if (visits.every(({ isDone }) => isDone)) return report()
    throw this.#left(request.visitor, current, {
      ...report(),
      exact: visits.every(({ isExact }) => isExact),
    })
  }

  /** What is taken comes to its end, or is given up. Resolves when its caller can be told. */
  async end(why: VisitEnd): Promise<void> {
    const current = this.#current
    if (current === undefined) return
    current.why ??= why
    stopAll(current.visits)
    const callOff = this.#clock.after(this.#attemptGraceMs, () => {
      for (const task of current.tasks) task.abandonVisit()
    })
    await current.ended
    callOff()
  }

  #assertAsked(partitions: readonly number[], { partitions: asked }: VisitRequest): void {
    if (asked === undefined) return
    const isSame =
      asked.length === partitions.length && asked.every((one) => partitions.includes(one))
    if (isSame) return
    throw new HostError(
      'RECOVERING',
      `${this.#function} has the partitions ${partitions.join(', ') || 'none'} here, and ${asked.join(', ')} are to be visited: they are being shared out anew; try again`,
      { function: this.#function },
    )
  }

  #source({ visitors }: Program, { visitor, argument }: VisitRequest): Source {
    const handler = visitors.get(visitor)
    if (handler === undefined) throw unknownVisitor(this.#function, visitor, [...visitors.keys()])
    const codec = {
      isText: false,
      snapshot: () => '',
      revive: () => argument,
    }
    return { stream: visitStream(visitor), topic: '', codec, handler }
  }

  #left(visitor: string, { visits, why }: Current, left: VisitLeft): HostError {
    const name = this.#function
    const failure = visits.find((visit) => visit.failure !== undefined)?.failure
    if (failure !== undefined) return visitFailed(name, visitor, failure, left)
    const trouble = visits.find((visit) => visit.trouble !== undefined)?.trouble
    return visitAborted(name, visitor, why ?? 'lost', left, trouble)
  }
}

export function unknownVisitor(name: string, visitor: string, all: readonly string[]): HostError {
  const near = nearest(visitor, all)
  const hint = near === undefined ? '' : `, did you mean ${JSON.stringify(near)}?`
  return new HostError(
    'UNKNOWN_VISITOR',
    `${name} has no visitor ${JSON.stringify(visitor)}${hint} (there are: ${all.join(', ') || 'none'})`,
    { function: name },
  )
}

export function visitRunning(name: string): HostError {
  return new HostError(
    'VISIT_RUNNING',
    `a visit of ${name} is under way: one at a time; try again when it has ended`,
    { function: name },
  )
}

/** `why`: in words, or one of those that are known. */
export function visitAborted(
  name: string,
  visitor: string,
  why: VisitEnd,
  left: VisitLeft,
  cause?: unknown,
): HostError {
  const because = cause === undefined ? reasons[why] : asHostError(cause).message
  return new HostError(
    'VISIT_ABORTED',
    `the visit "${visitor}" of ${name} was ended before all keys had their turn: ${because}; ${inWords(left)}; the same visit again begins with the first key`,
    { function: name, details: { ...left, reason: why }, cause },
  )
}

function visitFailed(
  name: string,
  visitor: string,
  { error, partition, key, attempts }: RecordFailure,
  left: VisitLeft,
): HostError {
  const cause = fromPlainError(error, 'HANDLER_FAILED')
  const tried = attempts === 1 ? '1 attempt' : `${attempts} attempts`
  return new HostError(
    'VISIT_FAILED',
    `the visit "${visitor}" of ${name} has failed at the key ${JSON.stringify(key)} (partition ${partition}), after ${tried}: ${cause.message}; ${inWords(left)}`,
    { function: name, partition, details: { ...left, key, partition, attempts }, cause },
  )
}

export function inWords({ visited, failed, vanished, exact }: VisitLeft): string {
  const also = [
    failed === 0 ? '' : `, ${failed} were given up`,
    vanished === 0 ? '' : `, ${vanished} were gone`,
  ].join('')
  const least = exact ? '' : 'at least '
  return `${least}${visited} ${visited === 1 ? 'key was' : 'keys were'} visited${also}, and what that did is stored`
}

function stopAll(visits: readonly Visit[]): void {
  for (const visit of visits) visit.stop()
}

function totalOf(visits: readonly Visit[]): number | null {
  let total = 0
  for (const visit of visits) {
    if (visit.total === undefined) return null
    total += visit.total
  }
  return total
}

export function sumOf(counts: readonly VisitCounts[]): VisitCounts {
  const all = { visited: 0, failed: 0, vanished: 0 }
  for (const { visited, failed, vanished } of counts) {
    all.visited += visited
    all.failed += failed
    all.vanished += vanished
  }
  return all
}
