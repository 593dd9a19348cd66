// One thread's line to the log thread: questions and their answers, and what becomes of them when the line is cut.
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { fromPlainError, HostError } from '../../errors.js'
import { logClosed } from '../problems.js'
import type { Answer, FromThread, Question } from './messages.js'
import type { SharedEnds } from './shared-ends.js'

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: HostError) => void
}

export class Connection {
  readonly #port: MessagePort
  readonly #ends: SharedEnds
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #isClosed = false
  #settled = (): void => {}

  constructor(port: MessagePort, ends: SharedEnds) {
    this.#port = port
    this.#ends = ends
    port.on('message', (answers: FromThread) => {
      for (const answered of answers) {
        const waiting = this.#waiting.get(answered.id)
        this.#waiting.delete(answered.id)
        if (answered.kind === 'error') waiting?.reject(fromPlainError(answered.error))
        else waiting?.resolve(answered)
      }
      if (this.#waiting.size === 0) this.#settled()
    })
    port.on('close', () => {
      this.#isClosed = true
      const lost = this.problem() ?? logClosed()
      for (const { reject } of this.#waiting.values()) reject(lost)
      this.#waiting.clear()
      this.#settled()
    })
  }

  /** Why nothing can be asked any more, if so. */
  problem(): HostError | undefined {
    if (this.#ends.state() === 'failed') {
      return new HostError(
        'LOG_FAILED',
        'the log has failed and takes nothing any more: see the host’s log for the cause and start the host anew',
      )
    }
    return this.#isClosed || this.#ends.state() === 'closed' ? logClosed() : undefined
  }

  /** Rejects with the error of the answer, with LOG_FAILED or LOG_CLOSED when no answer will come. */
  async ask(question: Question): Promise<Answer> {
    const problem = this.problem()
    if (problem !== undefined) throw problem
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#port.postMessage({ ...question, id }, transferred(question))
    })
  }

  /** A line for another thread, by way of this one. */
  split(): MessagePort {
    const problem = this.problem()
    if (problem !== undefined) throw problem
    const { port1, port2 } = new MessageChannel()
    const question: Question = { kind: 'client', port: port1 }
    this.#port.postMessage({ ...question, id: 0 }, [port1])
    return port2
  }

  /** Waits for the answers that are still to come. */
  async close(): Promise<void> {
    if (this.#waiting.size > 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#settled = resolve
      })
    }
    this.#isClosed = true
    this.#port.close()
  }
}

function transferred(question: Question): (ArrayBuffer | MessagePort)[] {
  switch (question.kind) {
    case 'append':
    case 'commit':
      return [question.request]
    case 'client':
      return [question.port]
    default:
      return []
  }
}
