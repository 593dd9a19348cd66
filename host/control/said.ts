// What was said in the control topic: of each function and kind that which counts.
import { keyOf, type ResetWish, sayingOf, type Wish } from './wish.js'

/**
 * `news`: it counts from now on. `known`: it does already. `late`: it is of a reset before that which counts, or its `stop` after its
 * `go`: whoever said it had not read that. What counts does not change by it, but the topic has it as the newest, and may keep that alone.
 */
export type Taken = 'news' | 'known' | 'late'

export class Said {
  readonly #counting = new Map<string, Wish>()

  get wishes(): Iterable<Wish> {
    return this.#counting.values()
  }

  counting(of: Pick<Wish, 'kind' | 'function'>): Wish | undefined {
    return this.#counting.get(keyOf(of))
  }

  reset(name: string): ResetWish | undefined {
    const wish = this.counting({ kind: 'reset', function: name })
    return wish?.kind === 'reset' ? wish : undefined
  }

  take(wish: Wish): Taken {
    const before = this.counting(wish)
    if (before !== undefined && sayingOf(before) === sayingOf(wish)) return 'known'
    if (wish.kind === 'reset' && before?.kind === 'reset' && isBefore(wish, before)) return 'late'
    this.#counting.set(keyOf(wish), wish)
    return 'news'
  }
}

/**
 * All words about resets of a function have one order, which lies in the words themselves: whoever has missed some of them finds the
 * same one the later of two as everybody else.
 */
function isBefore(one: ResetWish, other: ResetWish): boolean {
  if (one.id === other.id) return one.phase === 'stop' && other.phase === 'go'
  const [at, otherAt] = [Date.parse(one.at), Date.parse(other.at)]
  return at === otherAt ? one.id < other.id : at < otherAt
}

/** For a word behind `last`: the clock of who said that may be ahead. */
export const timeAfter = (last: Pick<Wish, 'at'> | undefined): string =>
  new Date(
    last === undefined ? Date.now() : Math.max(Date.now(), Date.parse(last.at) + 1),
  ).toISOString()
