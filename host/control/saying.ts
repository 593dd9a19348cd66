// Says a word in the control topic: it is said when this host has read it there, in its order among all others.
import { asHostError, HostError } from '../errors.js'
import type { Log } from '../log/log.js'
import { settlesWithin } from '../within.js'
import { keyOf, sayingOf, type Word } from './wish.js'

export interface SayingOptions {
  readonly log: Pick<Log, 'append'>
  readonly topic: string
  /** How long it may take until it is read. */
  readonly hearMs: number
}

interface Heard {
  /** Settles when it is done here. */
  readonly done: Promise<void>
}

export class Saying {
  readonly #options: SayingOptions
  /** Who has said something, by its id, and waits until it is read. */
  readonly #sayers = new Map<string, (heard: Heard) => void>()

  constructor(options: SayingOptions) {
    this.#options = options
  }

  /** Resolves when it is there, and done here as far as it is this host's to do. */
  async say(word: Word): Promise<void> {
    const { function: name } = word
    const { hearMs } = this.#options
    const heard = new Promise<Heard>((resolve) => {
      this.#sayers.set(sayingOf(word), resolve)
    })
    try {
      await this.append(word).catch((thrown: unknown) => {
        throw unsaid(thrown, word)
      })
      if (!(await settlesWithin(heard, hearMs))) {
        const message =
          word.kind === 'mark'
            ? `this instance has not read within ${hearMs} ms what is said to all instances: nothing was asked of them; look whether the brokers can be reached, and ask again, or another instance`
            : `it is said to all instances, and this one has not read it within ${hearMs} ms: it does it as soon as it has; see GET /functions/${name}`
        throw new HostError('WAIT_TIMEOUT', message, { function: name })
      }
      await (await heard).done
    } finally {
      this.#sayers.delete(sayingOf(word))
    }
  }

  /** Resolves when it is there. Should that not be known, it rejects as the log does, for which a word is a record like any other. */
  async append(word: Word): Promise<void> {
    const { log, topic } = this.#options
    const key = Buffer.from(keyOf(word))
    const value = Buffer.from(JSON.stringify(word))
    await log.append([{ topic, partition: 0, timestamp: Date.now(), key, value }])
  }

  /** It has been read, and is done with `done`. */
  heard(word: Word, done: Promise<void>): void {
    this.#sayers.get(sayingOf(word))?.({ done })
  }

  /** Whoever waits is told why it is not waited for any longer. */
  end(why: HostError): void {
    const done = Promise.reject<void>(why)
    // Those that have heard already wait for something else.
    done.catch(() => {})
    for (const sayer of this.#sayers.values()) sayer({ done })
  }
}

/** Said twice it is harmless; that it was not acknowledged does not mean that nobody will hear it. */
function unsaid(thrown: unknown, { kind, function: name }: Word): HostError {
  const failure = asHostError(thrown, 'LOG_FAILED')
  if (kind === 'mark' || !failure.retryable) return failure
  return new HostError(
    failure.code,
    `it could not be said to all instances in time, and may be heard later: say it again, or the opposite, and see GET /functions/${name}; look whether the brokers run, and can be reached`,
    { function: name, cause: thrown },
  )
}
