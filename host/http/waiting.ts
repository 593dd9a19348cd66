// One waiting request: how many there may be, and what ends one early.
import { setMaxListeners } from 'node:events'
import { HostError } from '../errors.js'

export interface WaitingRoom {
  /** Throws OVERLOADED when the room is full. Disposing leaves it. */
  enter(options: { readonly timeoutMs: number; readonly client: AbortSignal }): Wait
}

export interface Wait extends Disposable {
  /** What the promise gives, unless the wait ends first: then it throws STOPPING, WAIT_TIMEOUT or BAD_REQUEST (the client has gone). */
  for<T>(promise: Promise<T>): Promise<T>
}

export function createWaitingRoom(max: number, stopping: AbortSignal): WaitingRoom {
  let waiting = 0
  return {
    enter({ timeoutMs, client }) {
      if (waiting >= max) {
        throw new HostError(
          'OVERLOADED',
          `${waiting} requests wait already, as many as may (limits.maxWaiting): try again`,
        )
      }
      waiting++
      const wait = new OneWait(timeoutMs, client, stopping)
      return {
        for: (promise) => wait.for(promise),
        [Symbol.dispose]() {
          wait.end()
          waiting--
        },
      }
    },
  }
}

class OneWait {
  readonly #undo: (() => void)[] = []
  #ended: HostError | undefined
  readonly #rejects = new Set<(error: HostError) => void>()

  constructor(timeoutMs: number, client: AbortSignal, stopping: AbortSignal) {
    const timer = setTimeout(() => {
      this.#interrupt(new HostError('WAIT_TIMEOUT', `not reflected after ${timeoutMs} ms`))
    }, timeoutMs)
    this.#undo.push(() => clearTimeout(timer))
    this.#listen(client, () => new HostError('BAD_REQUEST', 'the client has gone'))
    this.#listen(stopping, () => new HostError('STOPPING', 'the host stops: try again in a moment'))
  }

  /** Keeps the reject functions of this moment only: a race with a promise that lives on would grow with each round. */
  for<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      this.#rejects.add(reject)
      const settled = () => this.#rejects.delete(reject)
      promise.then(
        (value) => {
          settled()
          resolve(value)
        },
        (error: unknown) => {
          settled()
          reject(error)
        },
      )
    })
  }

  end(): void {
    for (const undo of this.#undo) undo()
    // Paths that are waited for beside one that failed have to end, too.
    this.#interrupt(new HostError('BAD_REQUEST', 'the wait is over'))
  }

  #listen(signal: AbortSignal, error: () => HostError): void {
    const listener = () => this.#interrupt(error())
    // One client's keys may wait at once, and all that waits listens to the host's stop: they are no leak.
    setMaxListeners(0, signal)
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true })
    this.#undo.push(() => signal.removeEventListener('abort', listener))
  }

  #interrupt(error: HostError): void {
    this.#ended ??= error
    for (const reject of this.#rejects) reject(this.#ended)
    this.#rejects.clear()
  }
}
