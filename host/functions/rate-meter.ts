// Rates over the last seconds, from counters that only rise.
const sampleMs = 1_000
const keptSamples = 6

interface Sample {
  readonly at: number
  readonly counts: ReadonlyMap<string, number>
}

export class RateMeter implements Disposable {
  readonly #read: () => readonly (readonly [name: string, count: number])[]
  readonly #samples: Sample[] = []
  readonly #timer: NodeJS.Timeout

  constructor(read: () => readonly (readonly [name: string, count: number])[]) {
    this.#read = read
    this.#sample()
    this.#timer = setInterval(() => this.#sample(), sampleMs)
    this.#timer.unref()
  }

  /** Between the oldest kept sample and now. A counter that began anew counts from zero. */
  perSecond(name: string): number {
    const oldest = this.#samples.at(-1)
    const now = performance.now()
    if (oldest === undefined || now === oldest.at) return 0
    const before = oldest.counts.get(name) ?? 0
    const count = this.#read().find(([known]) => known === name)?.[1] ?? 0
    const rate = ((count >= before ? count - before : count) * 1_000) / (now - oldest.at)
    return Math.round(rate * 10) / 10
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #sample(): void {
    this.#samples.unshift({ at: performance.now(), counts: new Map(this.#read()) })
    this.#samples.length = Math.min(this.#samples.length, keptSamples)
  }
}
