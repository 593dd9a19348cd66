// What could not be done, and is tried again a little later: once for each name or file.

export class Retries implements Disposable {
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #isDisposed = false

  /** The one before under that name is called off. */
  later(what: string, work: () => Promise<void>, afterMs: number): void {
    if (this.#isDisposed) return
    clearTimeout(this.#timers.get(what))
    const timer = setTimeout(() => {
      this.#timers.delete(what)
      void work()
    }, afterMs)
    this.#timers.set(what, timer)
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }
}
