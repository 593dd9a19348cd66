// The leader epochs of what was read of an input, as far back as its positions may be.

/** Batches of one epoch in a row, read from this position on. */
interface Run {
  readonly from: number
  readonly leaderEpoch: number | undefined
}

export class Epochs {
  #runs: Run[]

  /** `leaderEpoch`: of what lies before the position at which reading begins. */
  constructor(leaderEpoch: number | undefined) {
    this.#runs = [{ from: -1, leaderEpoch }]
  }

  read(from: number, leaderEpoch: number | undefined): void {
    if (this.#runs.at(-1)?.leaderEpoch !== leaderEpoch) this.#runs.push({ from, leaderEpoch })
  }

  /** Of what was read last before the position. Nobody asks for a lower one any more. */
  before(position: number): number | undefined {
    while ((this.#runs[1]?.from ?? position) < position) this.#runs.shift()
    return this.#runs[0]?.leaderEpoch
  }
}
