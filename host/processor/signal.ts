// A wake-up that is not lost when it comes before anybody waits.
export class Signal {
  #isSet = false
  #waiting: (() => void) | undefined

  set(): void {
    this.#isSet = true
    this.#waiting?.()
    this.#waiting = undefined
  }

  /** Resolves at the next `set`, or at once if one came since the last wait. One waiter at a time. */
  async wait(): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
    this.#isSet = false
  }
}
