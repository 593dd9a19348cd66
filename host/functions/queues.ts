// Work on what has a name: one after another for each name.

export class Queues {
  readonly #queues = new Map<string, Promise<void>>()

  /** Behind what is being done under that name already, however that ends. */
  inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const after = this.#queues.get(name) ?? Promise.resolve()
    const done = after.then(work)
    const settled: Promise<void> = done
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#queues.get(name) === settled) this.#queues.delete(name)
      })
    this.#queues.set(name, settled)
    return done
  }

  /** Of what has been asked for by now. */
  async settled(): Promise<void> {
    await Promise.all(this.#queues.values())
  }
}
