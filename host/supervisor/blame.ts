// Which function is at fault when the host dies again and again.
import type { FunctionVitals, Quarantined } from './messages.js'

export interface BlameLimits {
  /** A function with which the host has died as often within the window is not started any more. */
  readonly maxCrashes: number
  readonly crashWindowMs: number
}

interface Death {
  readonly at: number
  readonly suspects: ReadonlyMap<string, FunctionVitals>
}

export class Blame {
  readonly #limits: BlameLimits
  #deaths: Death[] = []
  readonly #quarantined = new Map<string, Quarantined>()

  constructor(limits: BlameLimits) {
    this.#limits = limits
  }

  get quarantined(): readonly Quarantined[] {
    return [...this.#quarantined.values()]
  }

  /**
   * A suspect without a position was seen to do it, one with a position was at work. Returns those that too many deaths have in common: one alone is
   * quarantined by that.
   */
  died(suspects: readonly FunctionVitals[], at: number): readonly FunctionVitals[] {
    const { maxCrashes, crashWindowMs } = this.#limits
    this.#deaths = this.#deaths.filter((death) => at - death.at < crashWindowMs)
    this.#deaths.push({ at, suspects: new Map(suspects.map((each) => [keyOf(each), each])) })
    let candidates: readonly FunctionVitals[] = []
    for (const suspect of suspects) {
      const deaths = this.#deaths.filter((death) => isAgain(death.suspects, suspect))
      if (deaths.length < maxCrashes) continue
      const common = suspects.filter((each) =>
        deaths.every((death) => isAgain(death.suspects, each)),
      )
      // Whoever else ran at some of them did not run at all of them.
      if (common.length === 1) {
        const { name, version, isLoading: isAtLoad } = suspect
        this.#quarantined.set(name, { name, version, isAtLoad, deaths: deaths.length })
        return common
      }
      candidates = common
    }
    return candidates
  }

  /** What it has done is forgotten. */
  release(name: string): void {
    this.#quarantined.delete(name)
    this.#deaths = this.#deaths.map(({ at, suspects }) => ({
      at,
      suspects: new Map([...suspects].filter(([, each]) => each.name !== name)),
    }))
  }
}

/** If it was only at work, then without having got on: else whoever kills the host from outside would have it blamed. */
function isAgain(suspects: Death['suspects'], { position, ...suspect }: FunctionVitals): boolean {
  const former = suspects.get(keyOf(suspect))
  return former !== undefined && (position === undefined || former.position === position)
}

/** A mended version has not done anything yet. */
const keyOf = ({ name, version }: Pick<FunctionVitals, 'name' | 'version'>): string =>
  `${name} ${version}`
