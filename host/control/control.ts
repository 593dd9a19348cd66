// What a person asks of one instance, and means for all that share the log: said in the control topic, which each of them follows.
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { asHostError, HostError } from '../errors.js'
import type { Asked, Operation, Operator, ResetReport, VisitOrder } from '../functions/operation.js'
import { PausedFunctions } from '../functions/paused.js'
import type { Resetting } from '../functions/resetting.js'
import type { Log, TopicKind } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { VisitReport } from '../processor/visiting.js'
import { settlesWithin } from '../within.js'
import { Follower } from './follower.js'
import { SharedPauses } from './pauses.js'
import { Resets, type ResetTimes } from './resets.js'
import { Said, sayingOf } from './said.js'
import { controlTopic, type DoomedTopic, keyOf, type PauseWish, type Wish } from './wish.js'

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

interface Heard {
  /** Settles when it is done here. */
  readonly done: Promise<void>
}

export class Control implements Operator, AsyncDisposable {
  readonly pauses = new SharedPauses()
  readonly #options: ControlOptions
  readonly #times: ControlTimes
  readonly #topic: string
  readonly #said = new Said()
  /** Who has said something, by its id, and waits until it is read. */
  readonly #sayers = new Map<string, (heard: Heard) => void>()
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
      say: (wish) => this.#say(wish),
    })
    this.#follower = new Follower({
      log,
      topic: this.#topic,
      retryMs: this.#times.retryMs,
      caughtUp: (wishes) => this.#caughtUp(wishes),
      hear: (wish) => this.#hear(wish),
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
    await this.#say({ kind: 'pause', wish: operation, function: name, ...this.#stamp() })
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
    const topics = await this.#topics({ [table]: 'table', [loop]: 'stream' })
    const positions = (await this.#options.log.committed(group)).length
    const underWay = this.#resets?.underWay(name)
    const wish = underWay ?? {
      ...this.#stamp(),
      kind: 'reset' as const,
      phase: 'stop' as const,
      function: name,
      names: { group, table, loop },
      // Whoever was away for several resets has to know what each of them has deleted.
      topics: [...topics, ...this.#deletedBefore(name)].slice(0, maxTopics),
    }
    await this.#resets?.whileOver(wish, this.#times.resetMs, async () => {
      if (underWay === undefined) await this.#say(wish)
    })
    return { topics: topics.map((topic) => topic.name), positions, asked: 'all' }
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
    const done = Promise.reject<void>(failure)
    // Those that have heard already wait for something else.
    done.catch(() => {})
    for (const sayer of this.#sayers.values()) sayer({ done })
    this.#resets?.[Symbol.dispose]()
    await this.#follower?.[Symbol.asyncDispose]()
  }

  #needOperated(): Operated {
    if (this.#operated === undefined) throw new TypeError('the control topic is not followed yet')
    return this.#operated
  }

  #stamp() {
    return { id: randomUUID(), at: new Date().toISOString(), by: this.#options.instance }
  }

  /** Resolves when it is there, and done here as far as it is this host's to do. */
  async #say(wish: Wish): Promise<void> {
    const { function: name } = wish
    const { hearMs } = this.#times
    const heard = new Promise<Heard>((resolve) => {
      this.#sayers.set(sayingOf(wish), resolve)
    })
    try {
      await this.#append(wish)
      if (!(await settlesWithin(heard, hearMs))) {
        throw new HostError(
          'WAIT_TIMEOUT',
          `it is said to all instances, and this one has not read it within ${hearMs} ms: it does it as soon as it has; see GET /functions/${name}`,
          { function: name },
        )
      }
      await (await heard).done
    } finally {
      this.#sayers.delete(sayingOf(wish))
    }
  }

  async #append(wish: Wish): Promise<void> {
    const key = Buffer.from(keyOf(wish))
    const value = Buffer.from(JSON.stringify(wish))
    const at = { topic: this.#topic, partition: 0, timestamp: Date.now() }
    await this.#options.log.append([{ ...at, key, value }])
  }

  async #caughtUp(wishes: readonly Wish[]): Promise<void> {
    const read = new Said()
    for (const wish of wishes) read.take(wish)
    await this.#sayAgain(read)
    if (this.#isReady) {
      for (const wish of read.wishes) this.#hear(wish)
      return
    }
    for (const wish of read.wishes) {
      if (this.#said.take(wish) !== 'news') continue
      if (wish.kind === 'pause') await this.pauses.set(wish.function, wish.wish === 'pause')
      else await this.#resets?.find(wish)
    }
    await this.#takeOver()
    if (this.#isStopped) return
    this.#isReady = true
    this.#settle()
    this.#needOperated().retake()
  }

  /** Somebody has deleted the topic: what counted goes on to. */
  async #sayAgain(read: Said): Promise<void> {
    for (const wish of this.#said.wishes) {
      if (read.counting(wish) === undefined) await this.#append(wish)
    }
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
      await this.#append(wish)
      this.#said.take(wish)
      await this.pauses.set(name, true)
    }
    await rm(former, { force: true })
  }

  #hear(wish: Wish): void {
    const taken = this.#said.take(wish)
    const done = taken === 'news' ? this.#do(wish) : Promise.resolve()
    done.catch((error: unknown) => {
      const { message } = asHostError(error)
      this.#options.logger.warn(`what was asked of all instances was not done here: ${message}`, {
        function: wish.function,
      })
    })
    this.#sayers.get(sayingOf(wish))?.({ done })
    if (taken === 'late') this.#correct(wish)
  }

  /** Who comes later may find the newest alone. All say so that hear it: the same again is nothing new. */
  #correct(late: Wish): void {
    const counting = this.#said.counting(late)
    // Should it fail: what all have read in order is right without it.
    if (counting !== undefined) void this.#append(counting).catch(() => {})
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

  #deletedBefore(name: string): readonly DoomedTopic[] {
    const last = this.#said.counting({ kind: 'reset', function: name })
    return last?.kind === 'reset' ? last.topics : []
  }

  async #topics(kinds: Readonly<Record<string, TopicKind>>): Promise<DoomedTopic[]> {
    const known = await this.#options.log.describe(Object.keys(kinds))
    // Of another kind it is somebody else's that only has such a name.
    return [...known.values()]
      .filter(({ name, kind }) => kind === kinds[name])
      .map(({ name, id }) => ({ name, id }))
  }
}
