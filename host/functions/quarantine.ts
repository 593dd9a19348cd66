// Functions that have killed the host, and are not run until they are mended or a person says so.
import { HostError } from '../errors.js'
import type { FunctionVitals, Quarantined } from '../supervisor/messages.js'

/** What the supervisor knows of hosts before this one, and is told of this one. */
export interface Supervision {
  readonly quarantined: readonly Quarantined[]
  /** Names of functions one of which may kill this host, too: each is watched alone at first. */
  readonly suspected: readonly string[]
  vitals(functions: readonly FunctionVitals[]): void
  released(name: string): void
}

export class Quarantine {
  readonly #functions: Map<string, Quarantined>
  readonly #released: (name: string) => void

  constructor({ quarantined, released }: Pick<Supervision, 'quarantined' | 'released'>) {
    this.#functions = new Map(quarantined.map((each) => [each.name, each]))
    this.#released = released
  }

  /** Why this version is not run; undefined: it may be. `isAtLoad`: it must not even be loaded. */
  reason(name: string, version: string): { error: HostError; isAtLoad: boolean } | undefined {
    const found = this.#functions.get(name)
    if (found?.version !== version) return undefined
    const { deaths, isAtLoad } = found
    const error = new HostError(
      'QUARANTINED',
      `${name} has killed the host ${deaths} times${isAtLoad ? ' while it was loaded' : ''}: this version is not run any more; save a mended one, or have it tried again with POST /functions/${name}/restart`,
      { function: name },
    )
    return { error, isAtLoad }
  }

  /** A person wants it to be tried again. */
  release(name: string): void {
    if (this.#functions.delete(name)) this.#released(name)
  }
}
