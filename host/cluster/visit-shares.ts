// A visit of a whole table: each instance visits the partitions that it has, and what they have come to is one report.
import { asHostError, HostError } from '../errors.js'
import type { VisitOrder } from '../functions/operation.js'
import { isObject } from '../object.js'
import {
  inWords,
  sumOf,
  type VisitLeft,
  type VisitProgress,
  type VisitReport,
  visitAborted,
} from '../processor/visiting.js'

export type ShareOrder = Pick<VisitOrder, 'signal' | 'progressed'>

/** What one instance visits. */
export interface Share {
  readonly partitions: readonly number[]
  /** Rejects, before the first progress, with what it was refused for; later with what it has come to, in the error's details. */
  run(order: ShareOrder): Promise<VisitReport>
}

export interface SharedVisit {
  readonly function: string
  readonly visitor: string
}

/**
 * The first share has begun before the others are asked: since everybody has them in the same order, of two visits at once one is refused
 * before it has done anything. When one does not come to its end, all end.
 */
export async function visitShares(
  visit: SharedVisit,
  shares: readonly Share[],
  order: ShareOrder,
): Promise<VisitReport> {
  const end = new AbortController()
  const stop = () => end.abort(order.signal.reason)
  order.signal.addEventListener('abort', stop)
  if (order.signal.aborted) stop()
  const failures: Running[] = []
  const all = shares.map(
    (share) =>
      new Running(share, {
        signal: end.signal,
        progressed: () => {
          if (all.every(({ progress }) => progress !== undefined)) order.progressed(progressOf(all))
        },
        failed: (one) => {
          failures.push(one)
          end.abort('cancelled')
        },
      }),
  )
  try {
    await all[0]?.begun()
    await Promise.all(all.map((one) => one.over()))
  } finally {
    order.signal.removeEventListener('abort', stop)
  }
  if (all.every(({ report }) => report !== undefined)) return reportOf(all)
  throw failureOf(visit, all, failures[0], end.signal.reason)
}

interface Watched extends Pick<ShareOrder, 'signal'> {
  progressed(): void
  failed(one: Running): void
}

class Running {
  readonly partitions: readonly number[]
  progress: VisitProgress | undefined
  report: VisitReport | undefined
  error: HostError | undefined
  readonly #share: Share
  readonly #watched: Watched
  #over: Promise<void> | undefined

  constructor(share: Share, watched: Watched) {
    this.partitions = share.partitions
    this.#share = share
    this.#watched = watched
  }

  /** Resolves when it has, or has failed. */
  async begun(): Promise<void> {
    const { promise, resolve } = begin()
    const over = this.over(resolve)
    await Promise.race([promise, over])
  }

  /** Resolves when it has ended, however; one that has not begun when all are to end does not begin. */
  over(hasBegun: () => void = () => {}): Promise<void> {
    this.#over ??= this.#run(hasBegun)
    return this.#over
  }

  /** What is known of it: what it has told last. */
  get left(): VisitLeft {
    const { partitions, report, progress, error } = this
    if (report !== undefined) return { ...report, exact: true }
    const { visited = 0, failed = 0, vanished = 0 } = progress ?? {}
    const told = leftIn(error)
    return told ?? { visited, failed, vanished, partitions, exact: this.#isUntouched }
  }

  async #run(hasBegun: () => void): Promise<void> {
    const { signal } = this.#watched
    if (signal.aborted) return
    try {
      this.report = await this.#share.run({
        signal,
        progressed: (progress) => {
          this.progress = progress
          hasBegun()
          this.#watched.progressed()
        },
      })
    } catch (error) {
      this.error = asHostError(error)
      this.#watched.failed(this)
    }
  }

  /** It was not asked, or has said that it does not begin. */
  get #isUntouched(): boolean {
    if (this.error === undefined) return true
    return this.progress === undefined && !unanswered.has(this.error.code)
  }
}

/** Whether anything was done nobody knows. */
const unanswered: ReadonlySet<string> = new Set(['PEER_UNREACHABLE', 'PEER_REFUSED', 'INTERNAL'])

function begin() {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

const partitionsOf = (all: readonly Running[]): number[] =>
  all.flatMap(({ partitions }) => partitions).sort((a, b) => a - b)

const reportOf = (all: readonly Running[]): VisitReport => ({
  ...sumOf(all.map(({ left }) => left)),
  partitions: partitionsOf(all),
})

function progressOf(all: readonly Running[]): VisitProgress {
  const totals = all.map(({ progress }) => progress?.total ?? null)
  const total = totals.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0)
  return {
    ...sumOf(all.flatMap(({ progress }) => progress ?? [])),
    partitions: partitionsOf(all),
    total,
  }
}

/** The first that has failed, with what all have come to. Undefined: some have not begun, since the visit was to end. */
function failureOf(
  { function: name, visitor }: SharedVisit,
  all: readonly Running[],
  failed: Running | undefined,
  why: unknown,
): HostError {
  const doubtful = partitionsOf(all.filter((one) => !one.left.exact))
  const exact = doubtful.length === 0
  const left: VisitLeft = { ...reportOf(all), exact, ...(exact ? {} : { doubtful }) }
  const error = failed?.error
  if (error === undefined) {
    return visitAborted(name, visitor, why === 'drained' ? 'drained' : 'cancelled', left)
  }
  if (leftIn(error) !== undefined) {
    const { code, message, details, partition, cause } = error
    const words = all.length === 1 ? '' : `; on all instances together: ${inWords(left)}`
    return new HostError(code, `${message}${words}`, {
      function: name,
      ...(partition === undefined ? {} : { partition }),
      details: { ...(isObject(details) ? details : {}), ...left },
      cause,
    })
  }
  const isUntouched = exact && left.visited + left.failed + left.vanished === 0
  if (isUntouched) return error
  return visitAborted(
    name,
    visitor,
    unanswered.has(error.code) ? 'unreachable' : 'refused',
    left,
    error,
  )
}

/** What is told of a visit that has begun, and not come to its end. */
function leftIn(error: HostError | undefined): VisitLeft | undefined {
  if (error?.code !== 'VISIT_ABORTED' && error?.code !== 'VISIT_FAILED') return undefined
  return isObject(error.details) ? (error.details as unknown as VisitLeft) : undefined
}
