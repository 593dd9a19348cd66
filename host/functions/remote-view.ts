// Reads of a table that only its function's thread has open: asked for over a port of their own, so that they wait for nothing but that thread.
import type { MessagePort } from 'node:worker_threads'
import { fromPlainError, type HostError, type PlainError, toPlainError } from '../errors.js'
import type { Sample, SampleLimits } from '../tables/sample.js'
import type { Entry } from '../tables/store.js'
import type { TableView, ViewRange } from '../tables/view.js'
import { turn } from '../turn.js'
import { type Packed, pack, unpack } from './packed.js'

type Request =
  | { readonly kind: 'get'; readonly partition: number; readonly key: Uint8Array }
  /** Opens a range under the request's number. */
  | {
      readonly kind: 'range'
      readonly from?: Uint8Array
      readonly to?: Uint8Array
      readonly partitions?: readonly number[]
    }
  | { readonly kind: 'next' | 'leave'; readonly range: number }
  | { readonly kind: 'sample'; readonly limits: SampleLimits }

type Asked = Request & { readonly id: number }

interface Answer {
  readonly id: number
  readonly error?: PlainError
  /** Keys and values in turn; none: there is nothing, or no more. */
  readonly found?: Packed
  /** Of a sample, as it is packed. */
  readonly partitions?: readonly number[]
}

/** The thread's side. Answers until the port is closed. */
export function serveView(port: MessagePort, view: TableView): void {
  const ranges = new Map<number, AsyncIterator<Entry[]>>()
  const answer = async (asked: Asked): Promise<Omit<Answer, 'id'>> => {
    switch (asked.kind) {
      case 'get': {
        const value = await view.get(asked.partition, bufferOf(asked.key))
        return value === undefined ? {} : { found: pack([value]) }
      }
      case 'range': {
        const { from, to, partitions } = asked
        const range = view.range({
          ...(from === undefined ? {} : { from: bufferOf(from) }),
          ...(to === undefined ? {} : { to: bufferOf(to) }),
          ...(partitions === undefined ? {} : { partitions }),
        })
        ranges.set(asked.id, range[Symbol.asyncIterator]())
        return {}
      }
      case 'next': {
        const page = await ranges.get(asked.range)?.next()
        if (page === undefined || page.done === true) {
          ranges.delete(asked.range)
          return {}
        }
        return { found: pack(page.value.flatMap(({ key, value }) => [key, value])) }
      }
      case 'leave':
        await ranges.get(asked.range)?.return?.()
        ranges.delete(asked.range)
        return {}
      case 'sample': {
        const sample = await view.sample(asked.limits)
        return {
          found: pack(sample.flatMap(({ key, value }) => [key, value])),
          partitions: sample.map(({ partition }) => partition),
        }
      }
    }
  }
  port.on('message', (asked: Asked) => {
    answer(asked).then(
      (given) => port.postMessage({ id: asked.id, ...given } satisfies Answer),
      (error: unknown) =>
        port.postMessage({ id: asked.id, error: toPlainError(error) } satisfies Answer),
    )
  })
  port.postMessage('open')
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: HostError): void
  readonly timer: NodeJS.Timeout
}

export interface RemoteViewOptions {
  /** How long an answer may take. */
  readonly withinMs: number
  /** The thread has its store open. */
  opened(): void
  /** Why it can be asked nothing for now. */
  closed(): HostError
  /** It takes too long. */
  late(): HostError
  /** Of a read. */
  failed(error: HostError): void
}

/** The main thread's side: over one port after another, as threads come and go. */
export class RemoteView implements TableView {
  readonly isRemote = true
  readonly #options: RemoteViewOptions
  readonly #waiting = new Map<number, Waiting>()
  #port: MessagePort | undefined
  #isOpen = false
  #lastId = 0
  /** Ranges below it were interrupted. */
  #firstRange = 0

  constructor(options: RemoteViewOptions) {
    this.#options = options
  }

  /** In the place of the port before. */
  connect(port: MessagePort): void {
    this.disconnect()
    this.#port = port
    port.on('message', (message: Answer | 'open') => {
      if (message === 'open') {
        this.#isOpen = true
        this.#options.opened()
      } else this.#take(message)
    })
    port.on('close', () => {
      if (this.#port === port) this.disconnect()
    })
  }

  /** What waits is refused. */
  disconnect(): void {
    this.#isOpen = false
    this.#port?.close()
    this.#port = undefined
    this.interrupt()
  }

  /** What waits is refused, and no range goes on: the table may be another by the time that the thread reads it. */
  interrupt(): void {
    this.#firstRange = this.#lastId + 1
    for (const [id, { reject }] of this.#waiting) {
      this.#forget(id)
      reject(this.#options.closed())
    }
  }

  async get(partition: number, key: Buffer): Promise<Buffer | undefined> {
    const { found } = await this.#ask({ kind: 'get', partition, key: Uint8Array.from(key) })
    return found && unpack(found)[0]
  }

  range({ from, to, partitions }: ViewRange = {}): AsyncIterable<Entry[]> {
    const range = this.#lastId + 1
    const port = this.#port
    // Asked for at once: its snapshot is of now, or later by as long as the thread is at something else.
    const opened = this.#ask({
      kind: 'range',
      ...(from === undefined ? {} : { from: Uint8Array.from(from) }),
      ...(to === undefined ? {} : { to: Uint8Array.from(to) }),
      ...(partitions === undefined ? {} : { partitions }),
    })
    const leave = () => port?.postMessage({ kind: 'leave', range, id: 0 } satisfies Asked)
    // What comes too late is not left open there.
    opened.catch(leave)
    const next = async () => {
      await opened
      // Another thread knows nothing of it.
      if (port !== this.#port || range < this.#firstRange) {
        leave()
        throw this.#options.closed()
      }
      return await this.#ask({ kind: 'next', range }).catch((error: unknown) => {
        leave()
        throw error
      })
    }
    let isOver = false
    const end: IteratorResult<Entry[], undefined> = { done: true, value: undefined }
    const made: AsyncIterableIterator<Entry[]> = {
      async next() {
        if (isOver) return end
        const { found } = await next()
        if (found === undefined) {
          isOver = true
          return end
        }
        return { done: false, value: pairsOf(found) }
      },
      async return() {
        if (!isOver) leave()
        isOver = true
        return end
      },
      [Symbol.asyncIterator]: () => made,
    }
    return made
  }

  async sample(limits: SampleLimits): Promise<Sample[]> {
    const { found, partitions = [] } = await this.#ask({ kind: 'sample', limits })
    const entries = found === undefined ? [] : pairsOf(found)
    return entries.map((entry, index) => ({ ...entry, partition: partitions[index] ?? 0 }))
  }

  async #ask(request: Request): Promise<Answer> {
    this.#lastId += 1
    const id = this.#lastId
    const port = this.#port
    if (port === undefined || !this.#isOpen) throw this.#options.closed()
    const answer = await new Promise<Answer>((resolve, reject) => {
      const late = () => {
        this.#forget(id)
        reject(this.#options.late())
      }
      const timer = setTimeout(late, this.#options.withinMs)
      this.#waiting.set(id, { resolve, reject, timer })
      port.postMessage({ ...request, id } satisfies Asked)
    })
    // What the thread has told of its partitions before it read came by another port, and is known after this turn.
    await turn()
    return answer
  }

  #take(answer: Answer): void {
    const waiting = this.#forget(answer.id)
    if (answer.error === undefined) {
      waiting?.resolve(answer)
      return
    }
    const error = fromPlainError(answer.error)
    this.#options.failed(error)
    waiting?.reject(error)
  }

  #forget(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    clearTimeout(waiting?.timer)
    this.#waiting.delete(id)
    return waiting
  }
}

function pairsOf(found: Packed): Entry[] {
  const bytes = unpack(found)
  return Array.from({ length: bytes.length / 2 }, (_, n) => ({
    key: bytes[2 * n] ?? Buffer.alloc(0),
    value: bytes[2 * n + 1] ?? Buffer.alloc(0),
  }))
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
