// The acknowledgements that a record waits for after its handler has returned.
export class Deferral {
  #open = 0
  #failure: { readonly error: unknown } | undefined
  #callback: (() => void) | undefined

  /** One more to wait for. Called with anything but null or undefined the record has failed; called again it does nothing. */
  add(): (error?: unknown) => void {
    this.#open += 1
    let isGiven = false
    return (error) => {
      if (isGiven) return
      isGiven = true
      this.#open -= 1
      if (error !== undefined && error !== null) this.#failure ??= { error }
      if (!this.isSettled) return
      const callback = this.#callback
      this.#callback = undefined
      callback?.()
    }
  }

  /** All were given, or one of them was an error. */
  get isSettled(): boolean {
    return this.#open === 0 || this.#failure !== undefined
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /** Calls back once, from within the acknowledgement that settles it. Not for one that is settled already. */
  onSettled(callback: () => void): void {
    this.#callback = callback
  }
}
