// What was said in the control topic, taken in its order: of each function and kind that which counts.
import { keyOf, type Wish } from './wish.js'

/**
 * `news`: it counts from now on. `known`: it does already. `late`: it is of a reset that is over, or that another has taken the place
 * of: whoever said it had not read that. What counts does not change by it, but the topic has it as the newest, and may keep that alone.
 */
export type Taken = 'news' | 'known' | 'late'

export class Said {
  readonly #counting = new Map<string, Wish>()
  /** Resets that are over, by their ids. */
  readonly #over = new Set<string>()

  get wishes(): Iterable<Wish> {
    return this.#counting.values()
  }

  counting(of: Pick<Wish, 'kind' | 'function'>): Wish | undefined {
    return this.#counting.get(keyOf(of))
  }

  take(wish: Wish): Taken {
    const before = this.counting(wish)
    if (before !== undefined && sayingOf(before) === sayingOf(wish)) return 'known'
    if (this.#isLate(wish, before)) return 'late'
    if (wish.kind === 'reset' && wish.phase === 'go') this.#over.add(wish.id)
    this.#counting.set(keyOf(wish), wish)
    return 'news'
  }

  #isLate(wish: Wish, before: Wish | undefined): boolean {
    if (wish.kind !== 'reset') return false
    if (this.#over.has(wish.id)) return true
    const isUnderWay = before?.kind === 'reset' && before.phase === 'stop'
    return wish.phase === 'go' && isUnderWay && before.id !== wish.id
  }
}

/** The two phases of a reset are said one after the other. */
export const sayingOf = (wish: Wish): string =>
  wish.kind === 'reset' ? `${wish.id} ${wish.phase}` : wish.id
