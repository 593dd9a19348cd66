// Which function names there are, and by which files of the folder.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asHostError } from '../errors.js'
import type { Logger } from '../logger.js'
import { functionName, isFunctionFile } from './bundle.js'
import type { ShownError } from './catalog.js'
import type { Cell } from './cell.js'

/** What is known of one function name: its file or files, what runs, and what the last save was refused for. */
export interface Entry {
  readonly name: string
  /** More than one: none is taken. */
  files: string[]
  cell: Cell | undefined
  error: ShownError | null
}

export class Entries {
  readonly #logger: Logger
  readonly #entries = new Map<string, Entry>()
  /** Files that cannot be functions, by path. */
  readonly #misnamed = new Set<string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  get all(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  get files(): readonly string[] {
    return [...this.#entries.values()].flatMap((entry) => entry.files)
  }

  get cells(): readonly Cell[] {
    return [...this.#entries.values()].flatMap(({ cell }) => cell ?? [])
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name)
  }

  delete(name: string): void {
    this.#entries.delete(name)
  }

  /** The names for which that is a change. */
  take(saved: readonly string[], removed: readonly string[]): ReadonlySet<string> {
    const names = new Set<string>()
    for (const file of removed) {
      this.#misnamed.delete(file)
      for (const entry of this.#entries.values()) {
        if (!entry.files.includes(file)) continue
        entry.files = entry.files.filter((known) => known !== file)
        names.add(entry.name)
      }
    }
    for (const file of saved) {
      const name = this.#nameOf(file)
      if (name === undefined) continue
      const entry = this.#entry(name)
      if (!entry.files.includes(file)) entry.files = [...entry.files, file].sort()
      names.add(name)
    }
    return names
  }

  #nameOf(file: string): string | undefined {
    try {
      return functionName(file)
    } catch (error) {
      if (!this.#misnamed.has(file)) this.#logger.error(asHostError(error).message)
      this.#misnamed.add(file)
      return undefined
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name) ?? { name, files: [], cell: undefined, error: null }
    this.#entries.set(name, entry)
    return entry
  }
}

/** Those of a folder. */
export async function functionFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder)
  return names.map((name) => join(folder, name)).filter((file) => isFunctionFile(file))
}
