// Choices by a seed, for what happens to a host under test.
import { Random } from '#host/log/memory/random.js'

export class Choice extends Random {
  one<T>(of: readonly T[]): T {
    const [found] = of.slice(this.upTo(of.length) - 1)
    if (found === undefined) throw new RangeError('there is nothing to choose from')
    return found
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least - 1 + this.upTo(most - least + 1)
  }

  shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)
  }
}
