// Looks at the room on the log's disk, so that writes are refused while there still is enough to delete, compact and close with.
import { statfsSync } from 'node:fs'
import { HostError } from '../../errors.js'

export interface DiskSpaceOptions {
  readonly path: string
  /** 0: never looked at. Of a small disk no more than a tenth is kept free. */
  readonly minFreeBytes: number
  /** Told when it has become too full, and when there is room again. */
  changed(problem: HostError | undefined): void
  readonly look?: (path: string) => Room
  readonly now?: () => number
}

export interface Room {
  readonly freeBytes: number
  readonly totalBytes: number
}

/** A look takes some microseconds; others may fill the disk, too. */
const lookEveryMs = 100
const lookEveryBytes = 4 * 1024 * 1024

export class DiskSpace implements Disposable {
  readonly #options: DiskSpaceOptions
  readonly #look: (path: string) => Room
  readonly #now: () => number
  #lookedAt = Number.NEGATIVE_INFINITY
  #unseenBytes = 0
  #problem: HostError | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: DiskSpaceOptions) {
    this.#options = options
    this.#look = options.look ?? roomOf
    this.#now = options.now ?? (() => performance.now())
  }

  /** Why so many bytes may not be written now, if so. What deletes is not asked for. */
  refuse(bytes: number): HostError | undefined {
    if (this.#options.minFreeBytes === 0) return undefined
    this.#unseenBytes += bytes
    if (this.#unseenBytes >= lookEveryBytes || this.#now() - this.#lookedAt >= lookEveryMs) {
      this.#lookAgain()
    }
    return this.#problem
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #lookAgain(): void {
    this.#lookedAt = this.#now()
    this.#unseenBytes = 0
    const { path, minFreeBytes, changed } = this.#options
    const before = this.#problem
    this.#problem = tooFull(path, minFreeBytes, this.#look)
    if ((this.#problem === undefined) === (before === undefined)) return
    clearInterval(this.#timer)
    if (this.#problem !== undefined) {
      // Those who wait to be told that there is room again may write nothing meanwhile.
      this.#timer = setInterval(() => this.#lookAgain(), lookEveryMs).unref()
    }
    changed(this.#problem)
  }
}

/** Undefined: there is room, or nobody can tell. */
export function tooFull(path: string, minFreeBytes: number, look = roomOf): HostError | undefined {
  let room: Room
  try {
    room = look(path)
  } catch {
    return undefined
  }
  const { freeBytes, totalBytes } = room
  const wanted = Math.min(minFreeBytes, totalBytes / 10)
  if (freeBytes >= wanted) return undefined
  return new HostError(
    'DISK_FULL',
    `the disk of ${path} has ${freeBytes} bytes left, ${Math.ceil(wanted)} are kept free (log.minFreeBytes): nothing was written; ` +
      'make room, and it goes on by itself',
  )
}

function roomOf(path: string): Room {
  const { bavail, blocks, bsize } = statfsSync(path)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
