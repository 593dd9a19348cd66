// Which functions a person has paused. Where one host has the log: kept in the data folder, so that they stay paused when the host is started anew.
import { readFile } from 'node:fs/promises'
import { asHostError, HostError } from '../errors.js'
import type { Logger } from '../logger.js'
import { writeWhole } from '../whole-file.js'

export interface Pauses {
  /** Before any function is started. */
  read(logger: Logger): Promise<void>
  has(name: string): boolean
  /** Resolves when it is kept; if that fails, nothing has changed. */
  set(name: string, isPaused: boolean): Promise<void>
  /** Its file is gone. Holds at once, and after a restart as soon as `write` has succeeded. */
  forget(name: string): void
  write(): Promise<void>
}

export class PausedFunctions implements Pauses {
  readonly #file: string
  #names: ReadonlySet<string> = new Set()
  /** Writes take turns. */
  #turn: Promise<void> = Promise.resolve()

  constructor(file: string) {
    this.#file = file
  }

  /** A file that cannot be read pauses nothing, and says so: a function that runs harms less than one that silently does not. */
  async read(logger: Logger): Promise<void> {
    try {
      const names: unknown = JSON.parse(await readFile(this.#file, 'utf8'))
      if (!Array.isArray(names)) throw new TypeError('it holds no list of names')
      this.#names = new Set(names.filter((name) => typeof name === 'string'))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
      logger.warn(
        `${this.#file} cannot be read, no function is paused: ${asHostError(error).message}`,
      )
    }
  }

  get names(): ReadonlySet<string> {
    return this.#names
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  async set(name: string, isPaused: boolean): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#names.has(name) === isPaused) return
      await this.#save(changed(this.#names, name, isPaused))
      // One may have been forgotten meanwhile.
      this.#names = changed(this.#names, name, isPaused)
    })
  }

  forget(name: string): void {
    this.#names = changed(this.#names, name, false)
  }

  async write(): Promise<void> {
    await this.#inTurn(() => this.#save(this.#names))
  }

  async #save(names: ReadonlySet<string>): Promise<void> {
    try {
      await writeWhole(this.#file, `${JSON.stringify([...names])}\n`)
    } catch (cause) {
      throw new HostError(
        'DATA_NOT_WRITABLE',
        `${this.#file} cannot be written: ${asHostError(cause).message}; it is as it was`,
        { cause },
      )
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    await done
  }
}

function changed(names: ReadonlySet<string>, name: string, isPaused: boolean): ReadonlySet<string> {
  const made = new Set(names)
  if (isPaused) made.add(name)
  else made.delete(name)
  return made
}
