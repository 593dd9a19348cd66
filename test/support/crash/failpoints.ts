// Named instants at which a test has a process, or one thread of it, die: passed by what is put around the ports.
import { appendFileSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

export interface Armed {
  /** As it is passed, such as `run/commit:after`. */
  readonly point: string
  /** Absent: in whichever thread. */
  readonly thread?: string
  /** It dies when it comes there for the n-th time after it was armed. */
  readonly passage: number
  /** `exit`: the thread alone. */
  readonly action: 'kill' | 'exit'
}

/** The variable that names the folder by which test and process speak. */
export const failpointsVariable = 'CRASH_FAILPOINTS'
/** There as long as somebody is to die: whoever dies removes it. */
export const armedFile = 'armed.json'
/** The points that were passed, one a line, each at least once. */
export const passedFile = 'passed'

export class Failpoints {
  readonly #folder: string
  readonly #thread: string
  readonly #passed = new Set<string>()
  #armed: Armed | undefined
  #armedAt = 0
  #passages = 0

  constructor(thread: string) {
    this.#folder = process.env[failpointsVariable] ?? missing()
    this.#thread = thread
  }

  pass(point: string): void {
    if (!this.#passed.has(point)) {
      this.#passed.add(point)
      appendFileSync(join(this.#folder, passedFile), `${point}\n`)
    }
    const armed = this.#read()
    if (armed?.point !== point || (armed.thread ?? this.#thread) !== this.#thread) return
    this.#passages += 1
    if (this.#passages < armed.passage) return
    try {
      unlinkSync(join(this.#folder, armedFile))
    } catch {
      // Another thread was faster.
      return
    }
    if (armed.action === 'exit') process.exit(1)
    process.kill(process.pid, 'SIGKILL')
  }

  #read(): Armed | undefined {
    const file = join(this.#folder, armedFile)
    const found = statSync(file, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    if (found.mtimeMs !== this.#armedAt) {
      try {
        this.#armed = JSON.parse(readFileSync(file, 'utf8'))
      } catch {
        return undefined
      }
      this.#armedAt = found.mtimeMs
      this.#passages = 0
    }
    return this.#armed
  }
}

function missing(): never {
  throw new Error(`${failpointsVariable} is not set`)
}
