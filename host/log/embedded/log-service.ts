// What the log thread does with each question of a client.
import type { MessagePort } from 'node:worker_threads'
import { asHostError, toPlainError } from '../../errors.js'
import type { TopicSpec } from '../log.js'
import { topicMadeAnew, unknownTopic } from '../problems.js'
import type { Database } from './database.js'
import type { DiskSpace } from './disk-space.js'
import { Maintenance } from './maintenance.js'
import type { MaintenanceSettings } from './maintenance-settings.js'
import type { Answer, Answered, Asked, Question, WriterRef } from './messages.js'
import { sectionsOf } from './packing.js'
import type { Positions } from './positions.js'
import { Sequencer } from './sequencer.js'
import type { SharedEnds } from './shared-ends.js'
import type { Partition, Topics } from './topics.js'
import { Upkeep } from './upkeep.js'

export interface LogParts {
  readonly database: Database
  readonly topics: Topics
  readonly positions: Positions
  readonly ends: SharedEnds
  readonly sync: boolean
  readonly disk: DiskSpace
  readonly maintenance: MaintenanceSettings
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface LogEvents {
  /** A write has failed: nothing can be trusted any more. */
  failed(cause: unknown): void
  /** Something is wrong that does not keep the log from going on. */
  warned(problem: unknown): void
}

export class LogService {
  readonly upkeep: Upkeep
  readonly #parts: LogParts
  readonly #sequencer: Sequencer
  readonly #maintenance: Maintenance
  readonly #failed: (cause: unknown) => void
  readonly #ports = new Set<MessagePort>()
  readonly #clearing = new Set<Promise<void>>()
  #answers = new Map<MessagePort, Answered[]>()

  constructor(parts: LogParts, events: LogEvents) {
    const { database, topics, positions, ends, sync, disk, maintenance, now } = parts
    const failed = (cause: unknown): void => {
      // Its timer would keep the thread alive, whose end is waited for before the log is opened anew.
      void this.#maintenance.stop()
      events.failed(cause)
    }
    this.#parts = parts
    this.#failed = failed
    const written = (partition: Partition): void => this.#maintenance.written(partition)
    this.#sequencer = new Sequencer(database, topics, positions, ends, sync, failed, written, now)
    const isFull = (): boolean => disk.refuse(0) !== undefined
    const sequencer = this.#sequencer
    this.upkeep = new Upkeep({ database, topics, ends, sequencer, now, isFull })
    this.#maintenance = new Maintenance(this.upkeep, topics, maintenance, {
      failed,
      warned: (problem) => events.warned(problem),
    })
  }

  /** Begins to look after what is there. */
  start(): void {
    this.#maintenance.start()
  }

  serve(port: MessagePort): void {
    this.#ports.add(port)
    port.on('message', (asked: Asked) => this.#take(port, asked))
    port.on('close', () => this.#ports.delete(port))
  }

  /** Entries of topics that were removed shortly before the process died. */
  async finishRemovals(): Promise<void> {
    for (const number of await this.#parts.topics.doomed()) this.#clear(number)
  }

  /** Resolves when all that was asked for is done. */
  async close(): Promise<void> {
    await this.#maintenance.stop()
    await this.#sequencer.idle()
    await Promise.all(this.#clearing)
  }

  hangUp(): void {
    for (const port of this.#ports) port.close()
  }

  #take(port: MessagePort, asked: Asked): void {
    const answer = (given: Answer): void => this.#answer(port, { ...given, id: asked.id })
    try {
      this.#handle(asked, answer)
    } catch (thrown) {
      answer(failure(thrown))
    }
  }

  #handle(asked: Asked, answer: (given: Answer) => void): void {
    const { topics, positions } = this.#parts
    switch (asked.kind) {
      case 'append':
        this.#write(asked.request, answer)
        break
      case 'commit': {
        const { group } = asked.writer
        this.#write(asked.request, answer, asked.writer, { group, positions: asked.positions })
        break
      }
      case 'open-writer': {
        const { group, partition } = asked
        const fence = positions.raiseFence(group, partition)
        // Answered in its turn: commits that were let through before the fence count among the positions.
        this.#turn(answer, async () => ({
          kind: 'writer',
          fence,
          horizon: topics.horizon,
          positions: positions.of(group, topics).filter((found) => found.partition === partition),
        }))
        break
      }
      case 'committed':
        answer({ kind: 'positions', positions: positions.of(asked.group, topics) })
        break
      case 'topics': {
        const found = asked.names.flatMap((name) => topics.named(name) ?? [])
        answer({ kind: 'topics', topics: found.map((topic) => topics.row(topic)) })
        break
      }
      case 'contents':
        answer({
          kind: 'contents',
          contents: { topics: topics.specs(), groups: positions.groups(topics) },
        })
        break
      case 'ensure':
        this.#turn(answer, async () => this.#ensure(asked.specs))
        break
      case 'remove':
        this.#turn(answer, async () => this.#remove(asked))
        break
      case 'end-of-epoch': {
        const partition = topics.numbered(asked.topic)?.partitions[asked.partition]
        if (partition === undefined) throw unknownTopic(`number ${asked.topic}`, asked.partition)
        answer({ kind: 'epoch', ...topics.endOfEpoch(partition, asked.epoch) })
        break
      }
      case 'client':
        this.serve(asked.port)
        answer({ kind: 'done' })
        break
    }
  }

  #write(
    request: ArrayBuffer,
    answer: (given: Answer) => void,
    writer?: WriterRef,
    moved?: { group: string; positions: Extract<Asked, { kind: 'commit' }>['positions'] },
  ): void {
    const { topics, positions, ends, disk } = this.#parts
    if (writer !== undefined && positions.isFenced(writer)) {
      answer({ kind: 'fenced' })
      return
    }
    const sections = sectionsOf(request)
    const inputs = moved?.positions ?? []
    const places = [...sections, ...inputs]
    // Counted where it is counted off, so that no thread that ends takes room with it.
    ends.queue(request.byteLength)
    this.#sequencer.enqueue({
      kind: 'write',
      bytes: request.byteLength,
      sections,
      ...(moved === undefined ? {} : { moved }),
      answer,
      refuse: () => {
        const full = disk.refuse(request.byteLength)
        if (full !== undefined) return failure(full)
        const gone = places.find(
          ({ topic, partition }) => topics.numbered(topic)?.partitions[partition] === undefined,
        )
        if (gone !== undefined) {
          return failure(unknownTopic(`number ${gone.topic}`, gone.partition))
        }
        if (writer === undefined) return undefined
        const anew = inputs.find(({ topic }) => topic >= writer.horizon)
        const name = anew && topics.numbered(anew.topic)?.name
        return name === undefined ? undefined : failure(topicMadeAnew(name))
      },
    })
  }

  #turn(answer: (given: Answer) => void, run: () => Promise<Answer>): void {
    this.#sequencer.enqueue({ kind: 'turn', run: async () => answer(await run()) })
  }

  async #ensure(specs: readonly TopicSpec[]): Promise<Answer> {
    let made: ReturnType<Topics['ensure']>
    try {
      made = this.#parts.topics.ensure(specs)
    } catch (thrown) {
      return failure(thrown)
    }
    if (made.operations.length === 0) return { kind: 'done' }
    const full = this.#parts.disk.refuse(0)
    if (full !== undefined) return failure(full)
    await this.#sequencer.write(made.operations)
    made.done()
    return { kind: 'done' }
  }

  async #remove({ names, groups, ids }: Extract<Question, { kind: 'remove' }>): Promise<Answer> {
    const { topics, positions, ends } = this.#parts
    const gone = [...new Set(names)]
      .map((name) => topics.named(name))
      .filter((topic) => topic !== undefined)
      .filter(({ id }) => ids?.includes(id) !== false)
    const steps = [
      ...gone.flatMap((topic) => [
        topics.remove(topic),
        positions.forget((_, position) => position.topic === topic.number),
      ]),
      ...groups.map((name) => positions.forget((group) => group === name)),
    ]
    if (steps.length === 0) return { kind: 'done' }
    await this.#sequencer.write(steps.flatMap(({ operations }) => operations))
    for (const { done } of steps) done()
    ends.ring()
    for (const { number } of gone) this.#clear(number)
    return { kind: 'done' }
  }

  /** Beside the writes, not between them: it can take seconds, and nobody can see these entries any more. */
  #clear(topic: number): void {
    const clearing = this.#parts.topics.clear(topic).catch(this.#failed)
    this.#clearing.add(clearing)
    void clearing.finally(() => this.#clearing.delete(clearing))
  }

  /** One message for all the answers of one write. */
  #answer(port: MessagePort, answered: Answered): void {
    const waiting = this.#answers.get(port)
    if (waiting !== undefined) {
      waiting.push(answered)
      return
    }
    this.#answers.set(port, [answered])
    queueMicrotask(() => {
      const answers = this.#answers
      this.#answers = new Map()
      for (const [to, list] of answers) to.postMessage(list)
    })
  }
}

const failure = (thrown: unknown): Answer => ({
  kind: 'error',
  error: toPlainError(asHostError(thrown)),
})
