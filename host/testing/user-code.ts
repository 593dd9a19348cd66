// The handlers of one function, watched: is one still at it, and what exactly did it throw?
import type { ProcessorDefinition } from '../../sdk/define.js'
import type { ViewDefinition } from '../../sdk/view.js'
import { Attempt } from '../processor/context.js'
import { wrapped } from '../processor/middleware.js'
import type { Handler, RunnableDefinition } from '../processor/program.js'
import type { RunnableView } from '../processor/view-program.js'

interface Place {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  /** A visit has no offset. */
  readonly key: string
}

export class UserCode {
  /** What is under way; another set after `forget`. */
  #attempts = new Set<object>()
  /** The last error of each record that has failed and not succeeded since. */
  readonly #thrown = new Map<string, Error>()

  get isDone(): boolean {
    return this.#attempts.size === 0
  }

  /** Nobody waits any more for what is under way. */
  forget(): void {
    this.#attempts = new Set()
  }

  /** The very object, with its own stack, which the task knows only as plain data; undefined: no handler threw an error there. */
  thrownAt(place: Place): Error | undefined {
    const key = keyOf(place)
    const error = this.#thrown.get(key)
    this.#thrown.delete(key)
    return error
  }

  watch(definition: ProcessorDefinition): RunnableDefinition {
    const { on, onLoop, visitors, wrap, table, loop, ...rest } = definition
    // Around all of it: what middleware throws and awaits is user code's, too.
    const watch = (handler: Handler) => this.#watched(wrapped(handler, wrap))
    const watched = (handlers: Readonly<Record<string, Handler>>) =>
      Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, watch(handler)]))
    return {
      ...rest,
      on: watched(on),
      ...(table === undefined ? {} : { table }),
      ...(loop === undefined ? {} : { loop }),
      ...(onLoop === undefined ? {} : { onLoop: watch(onLoop) }),
      ...(visitors === undefined ? {} : { visitors: watched(visitors) }),
    }
  }

  watchView(definition: ViewDefinition): RunnableView {
    const { table: stream, codec, stored, update } = definition
    return {
      codec,
      ...(stored === undefined ? {} : { stored }),
      ...(update === undefined
        ? {}
        : {
            update: (ctx, value) => {
              try {
                return update(ctx, value)
              } catch (error) {
                const { partition, offset, key } = ctx
                throw this.#failed({ stream, partition, offset, key }, error)
              }
            },
          }),
    }
  }

  #watched(handler: Handler): Handler {
    return (ctx, value) => {
      let returned: unknown
      try {
        returned = handler(ctx, value)
      } catch (error) {
        throw this.#failed(placeOf(ctx), error)
      }
      return returned instanceof Promise ? this.#awaited(ctx, returned) : returned
    }
  }

  async #awaited(ctx: Attempt, returned: Promise<unknown>): Promise<void> {
    const attempts = this.#attempts
    const attempt = {}
    attempts.add(attempt)
    try {
      await returned
    } catch (error) {
      throw this.#failed(placeOf(ctx), error)
    } finally {
      attempts.delete(attempt)
    }
  }

  #failed(at: Place, error: unknown): unknown {
    if (error instanceof Error) this.#thrown.set(keyOf(at), error)
    return error
  }
}

const placeOf = (attempt: Attempt): Place => {
  const { stream, partition, offset } = attempt
  return { stream, partition, offset, key: Attempt.key(attempt) }
}

const keyOf = ({ stream, partition, offset, key }: Place): string =>
  `${stream}/${partition}/${offset}/${key}`
