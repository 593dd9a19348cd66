// What was started is stopped in the reverse order, all of it, whatever fails on the way.

/** Node 20 has `Symbol.asyncDispose` but no `AsyncDisposableStack`. */
export class Stack implements AsyncDisposable {
  #undo: (() => unknown)[] = []
  #disposing: Promise<void> | undefined

  /** Keeps what has to be disposed of, and hands it back. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource
        ? resource[Symbol.asyncDispose]()
        : resource[Symbol.dispose](),
    )
    return resource
  }

  /** Keeps a step to be run, and awaited, at the end. */
  defer(undo: () => unknown): void {
    if (this.#disposing !== undefined) {
      throw new TypeError('the stack was disposed of: nothing can be added any more')
    }
    this.#undo.push(undo)
  }

  /** Every step is run; what they threw is thrown at the end: one error as it is, several as an AggregateError. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose()
    return this.#disposing
  }

  async #dispose(): Promise<void> {
    const errors: unknown[] = []
    for (const undo of this.#undo.reverse()) {
      try {
        await undo()
      } catch (error) {
        errors.push(error)
      }
    }
    this.#undo = []
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1)
      throw new AggregateError(errors, `${errors.length} steps of stopping failed`)
  }
}
