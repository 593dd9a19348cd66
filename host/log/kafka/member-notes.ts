// What a host notes down of its places in groups: the one after it gives them up at once, should it be killed.
import { readFileSync } from 'node:fs'
import { isObject } from '../../object.js'
import { writeWholeSync } from '../../whole-file.js'

/** Of a file in a folder that one process at a time has. Whatever goes wrong with it, only time is lost: a session runs out. */
export class MemberNotes {
  readonly #file: string
  readonly #former: Map<string, string>
  readonly #own = new Map<string, string>()

  constructor(file: string) {
    this.#file = file
    this.#former = new Map(read(file))
  }

  take(group: string): string | undefined {
    const member = this.#former.get(group)
    this.#former.delete(group)
    return member
  }

  put(group: string, member: string): void {
    if (this.#own.get(group) === member) return
    this.#own.set(group, member)
    this.#write()
  }

  drop(group: string): void {
    if (this.#own.delete(group)) this.#write()
  }

  #write(): void {
    try {
      // Those that were not taken yet belong to functions that have not been loaded so far.
      const all = Object.fromEntries([...this.#former, ...this.#own])
      writeWholeSync(this.#file, JSON.stringify(all))
    } catch {
      // A disk that is full: the next host waits for the session.
    }
  }
}

function read(file: string): [group: string, member: string][] {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!isObject(found)) return []
    return Object.entries(found).flatMap(([group, member]): [string, string][] =>
      typeof member === 'string' ? [[group, member]] : [],
    )
  } catch {
    return []
  }
}
