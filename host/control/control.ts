// What a person asks of one instance, and means for all that share the log: said in the control topic, which each of them follows.
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { asHostError, HostError } from '../errors.js'
import type { OwnNames } from '../functions/names.js'
import type { Asked, Operation, Operator, ResetReport, VisitOrder } from '../functions/operation.js'
import { PausedFunctions } from '../functions/paused.js'
import type { Resetting } from '../functions/resetting.js'
import type { Log, TopicKind } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { VisitReport } from '../processor/visiting.js'
import { Follower } from './follower.js'
import { Newest } from './newest.js'
import { SharedPauses } from './pauses.js'
import { Resets, type ResetTimes } from './resets.js'
import { Said, type Taken, timeAfter } from './said.js'
import { Saying } from './saying.js'
import {
  controlTopic,
  type DoomedTopic,
  keyOf,
  type PauseWish,
  sayingOf,
  type Wish,
  type Word,
} from './wish.js'

export interface ControlTimes extends ResetTimes {
  /** How long whoever has asked waits until this instance has read it. */
  readonly hearMs: number
  /** And until a reset has come to its end. */
  readonly resetMs: number
}

export interface ControlOptions {
  readonly log: Log
  readonly namespace: string
  /** Names this host to the others. */
  readonly instance: string
  readonly logger: Logger
  /** A file of paused functions, of a host that has had the log for itself: taken over once. */
  readonly former: string
  readonly times?: Partial<ControlTimes>
}

/** What is done here. */
export interface Operated extends Operator {
  readonly entries: ReadonlyMap<string, unknown>
  readonly resetting: Pick<Resetting, 'begin' | 'beginAnew' | 'catchUp' | 'namesOf'>
  /** Takes up what waited until `ready` resolves. */
  retake(): void
}

const defaults: ControlTimes = {
  retryMs: 1_000,
  // A host that died is missed by its groups no sooner.
  takeOverMs: 10_000,
  hearMs: 10_000,
  resetMs: 60_000,
}

/** Of a reset and those before it: a record's size has to end somewhere. */
const maxTopics = 200

export class Control implements Operator, AsyncDisposable {
  readonly pauses = new SharedPauses()
  readonly #options: ControlOptions
  readonly #times: ControlTimes
  readonly #topic: string
  readonly #said = new Said()
  readonly #newest: Newest
  /** What was done last, or begun with, by key. */
  readonly #done = new Map<string, string>()
  readonly #saying: Saying
  #operated: Operated | undefined
  #resets: Resets | undefined
  #follower: Follower | undefined
  #isReady = false
  #isStopped = false
  #failure: HostError | undefined
  readonly #waiting = new Set<(failure?: HostError) => void>()

  constructor(options: ControlOptions) {
    this.#options = options
    this.#times = { ...defaults, ...options.times }
    this.#topic = controlTopic(options.namespace)
    const { retryMs, hearMs } = this.#times
    this.#saying = new Saying({ log: options.log, topic: this.#topic, hearMs })
    const append = (wish: Wish) => this.#saying.append(wish)
    this.#newest = new Newest({ said: this.#said, restMs: retryMs, append })
  }

  /** From now on `operated` does what the topic says. */
  start(operated: Operated): void {
    const { log, instance, logger } = this.#options
    this.#operated = operated
    this.#resets = new Resets({
      log,
      instance,
      logger,
      times: this.#times,
      resetting: operated.resetting,
      say: (wish) => this.#saying.say(wish),
      readAll: (name) => this.#readAll(name),
    })
    this.#follower = new Follower({
      log,
      topic: this.#topic,
      retryMs: this.#times.retryMs,
      caughtUp: (words) => this.#caughtUp(words),
      hear: (word) => this.#hear(word),
      failed: (error) => this.#failed(error),
    })
  }

  /** Resolves when all is known that was said before; rejects with why it cannot be known for now. */
  async ready(): Promise<void> {
    if (this.#isReady) return
    if (this.#isStopped) throw new HostError('STOPPING', 'the host stops')
    if (this.#failure !== undefined) throw this.#failure
    await new Promise<void>((resolve, reject) => {
      this.#waiting.add((failure) => (failure === undefined ? resolve() : reject(failure)))
    })
  }

  async operate(name: string, operation: Operation): Promise<Asked | undefined> {
    const operated = this.#needOperated()
    // Of a thread that hangs here.
    if (operation === 'restart') return await operated.operate(name, operation)
    if (!operated.entries.has(name)) return undefined
    await this.ready()
    await this.#saying.say({ kind: 'pause', wish: operation, function: name, ...this.#stamp() })
    return 'all'
  }

  async reset(name: string): Promise<(ResetReport & { readonly asked: Asked }) | undefined> {
    const operated = this.#needOperated()
    const { group, table, loop } = operated.resetting.namesOf(name) ?? {}
    // A view's copy is this host's own.
    if (group === undefined || table === undefined || loop === undefined) {
      return await operated.reset(name)
    }
    await this.ready()
    // What was overtaken has had nothing deleted that was made since the other one.
    for (;;) {
      const report = await this.#resetOnce(name, { group, table, loop })
      if (report !== undefined) return { ...report, asked: 'all' }
    }
  }

  /** Undefined: it was overtaken by another of which this host had not heard when it said its own. */
  async #resetOnce(name: string, names: OwnNames): Promise<ResetReport | undefined> {
    // A reset of whose end this host has not heard is over, and deletes nothing of what was made since.
    await this.#readAll(name)
    const last = this.#said.reset(name)
    const topics = await this.#topics({ [names.table]: 'table', [names.loop]: 'stream' })
    const positions = (await this.#options.log.committed(names.group)).length
    // Another one has begun, or ended, since: the topics may be those of before it.
    if (this.#said.reset(name) !== last) return undefined
    const underWay = this.#resets?.underWay(name)
    const wish = underWay ?? {
      ...this.#stamp(),
      at: timeAfter(last),
      kind: 'reset' as const,
      phase: 'stop' as const,
      function: name,
      names,
      // Whoever was away for several resets has to know what each of them has deleted.
      topics: [...topics, ...(last?.topics ?? [])].slice(0, maxTopics),
    }
    const isOver = await this.#resets?.whileOver(wish, this.#times.resetMs, async () => {
      if (underWay === undefined) await this.#saying.say(wish)
    })
    if (isOver === false) return undefined
    return { topics: topics.map((topic) => topic.name), positions }
  }

  /** Resolves when this host has read all that had been said when it was called. */
  async #readAll(name: string): Promise<void> {
    await this.#saying.say({ kind: 'mark', function: name, ...this.#stamp() })
  }

  async visit(name: string, order: VisitOrder): Promise<VisitReport | undefined> {
    return await this.#needOperated().visit(name, order)
  }

  async evict(name: string, partition: number, key: Buffer): Promise<boolean> {
    return await this.#needOperated().evict(name, partition, key)
  }

  heartbeat(name: string): void {
    this.#operated?.heartbeat(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    const failure = new HostError('STOPPING', 'the host stops')
    this.#settle(failure)
    this.#saying.end(failure)
    this.#resets?.[Symbol.dispose]()
    this.#newest[Symbol.dispose]()
    await this.#follower?.[Symbol.asyncDispose]()
  }

  #needOperated(): Operated {
    if (this.#operated === undefined) throw new TypeError('the control topic is not followed yet')
    return this.#operated
  }

  #stamp() {
    return { id: randomUUID(), at: new Date().toISOString(), by: this.#options.instance }
  }

  /** All of them are taken, as if nothing had been missed, and what counts at the end is done, unless it has been. */
  async #caughtUp(words: readonly Word[]): Promise<void> {
    this.#newest.clear()
    for (const word of words) if (word.kind !== 'mark') this.#take(word)
    const begun = new Map<string, Promise<void>>()
    for (const wish of this.#said.wishes) {
      if (this.#done.get(keyOf(wish)) === sayingOf(wish)) continue
      if (this.#isReady) begun.set(keyOf(wish), this.#begin(wish))
      else await this.#find(wish)
    }
    for (const word of words) this.#saying.heard(word, begun.get(keyOf(word)) ?? Promise.resolve())
    const right = this.#newest.putAllRight()
    if (this.#isReady) return await right
    // A host that may only read starts all the same.
    right.catch(() => {})
    await this.#takeOver()
    if (this.#isStopped) return
    this.#isReady = true
    this.#settle()
    this.#needOperated().retake()
  }

  async #find(wish: Wish): Promise<void> {
    if (wish.kind === 'pause') await this.pauses.set(wish.function, wish.wish === 'pause')
    else await this.#resets?.find(wish)
    this.#done.set(keyOf(wish), sayingOf(wish))
  }

  /** What was paused before there was a topic to say it in. */
  async #takeOver(): Promise<void> {
    const { former, logger } = this.#options
    const functions = new PausedFunctions(former)
    await functions.read(logger)
    for (const name of functions.names) {
      const wish: PauseWish = { kind: 'pause', wish: 'pause', function: name, ...this.#stamp() }
      // Said since, by whomever.
      if (this.#said.counting(wish) !== undefined) continue
      await this.#saying.append(wish)
      this.#said.take(wish)
      await this.pauses.set(name, true)
    }
    await rm(former, { force: true })
  }

  #hear(word: Word): void {
    this.#saying.heard(word, word.kind === 'mark' ? Promise.resolve() : this.#hearWish(word))
  }

  #hearWish(wish: Wish): Promise<void> {
    const taken = this.#take(wish)
    if (taken === 'late') void this.#newest.putRight(wish)
    return taken === 'news' ? this.#begin(wish) : Promise.resolve()
  }

  #take(wish: Wish): Taken {
    this.#newest.read(wish)
    return this.#said.take(wish)
  }

  #begin(wish: Wish): Promise<void> {
    this.#done.set(keyOf(wish), sayingOf(wish))
    const done = this.#do(wish)
    done.catch((error: unknown) => {
      const { message } = asHostError(error)
      this.#options.logger.warn(`what was asked of all instances was not done here: ${message}`, {
        function: wish.function,
      })
    })
    return done
  }

  async #do(wish: Wish): Promise<void> {
    if (wish.kind === 'reset') {
      await this.#resets?.hear(wish)
      return
    }
    // At once, and of a function that is not here yet, too: it comes as it is to be.
    await this.pauses.set(wish.function, wish.wish === 'pause')
    await this.#needOperated().operate(wish.function, wish.wish)
  }

  #failed(error: HostError): void {
    const isKnown = this.#failure?.code === error.code
    this.#failure = error
    if (!this.#isReady) this.#settle(error)
    // What passes is told by whoever keeps the log.
    if (error.retryable || isKnown) return
    this.#options.logger.error(
      `what is asked of functions on other instances cannot be heard: ${error.message}`,
      { code: error.code },
    )
  }

  #settle(failure?: HostError): void {
    if (failure === undefined) this.#failure = undefined
    for (const settle of this.#waiting) settle(failure)
    this.#waiting.clear()
  }

  async #topics(kinds: Readonly<Record<string, TopicKind>>): Promise<DoomedTopic[]> {
    const known = await this.#options.log.describe(Object.keys(kinds), { endsOf: [] })
    // Of another kind it is somebody else's that only has such a name.
    return [...known.values()]
      .filter(({ name, kind }) => kind === kinds[name])
      .map(({ name, id }) => ({ name, id }))
  }
}
