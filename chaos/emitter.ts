// Emits to every host at once, and keeps account of what became of each event.
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Choice } from '../test/support/choice.js'
import type { Account, Emitted, Outcome } from './account.js'
import { type Answer, isInexcusable, outcomeOf } from './client.js'
import type { Event, Setting } from './functions.js'
import type { Instance } from './instance.js'
import { allKeys, keysByPartition } from './keys.js'

export interface EmitterOptions {
  readonly account: Account
  readonly instances: readonly Instance[]
  readonly seed: number
  readonly wrong: (what: string) => void
}

/** Of each instance. */
const singleLanes = 2
const singlePauseMs = 70
const batchPauseMs = 400
const batchEvents = 5
const settingPauseMs = 250
/** A refused event is emitted again, by any instance. */
const attempts = 6
const againMs = 50
/** While nobody is there. */
const idleMs = 100

const eventOf = (id: string): Event => ({ is: 'event', id })

export class Emitter {
  readonly #options: EmitterOptions
  readonly #end = new AbortController()
  readonly #lanes: Promise<void>[]
  #versions = 0

  constructor(options: EmitterOptions) {
    this.#options = options
    // Each lane that rests listens to it.
    setMaxListeners(0, this.#end.signal)
    this.#lanes = [
      ...options.instances.flatMap((instance) => [
        ...Array.from({ length: singleLanes }, (_, n) =>
          this.#singles(instance, `${instance.name}${n}`),
        ),
        this.#batches(instance, `${instance.name}b`),
      ]),
      this.#settings(),
    ]
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#lanes)
  }

  /** One more for the key, until one is acknowledged; its token. */
  async more(key: string, id: string): Promise<string> {
    const [instance] = this.#options.instances
    for (let n = 0; ; n += 1) {
      const event = this.#options.account.emitting({ id: `${id}-${n}`, key, lane: 'last' })
      if (instance !== undefined) await this.#emit(instance, [event])
      if (event.token !== undefined) return event.token
      await pause(againMs)
    }
  }

  /** A version that is higher than all before, and acknowledged. */
  async set(key: string): Promise<number> {
    for (;;) {
      const version = await this.#set(key)
      if (version !== undefined) return version
      await pause(againMs)
    }
  }

  async #singles(instance: Instance, lane: string): Promise<void> {
    const random = this.#random(lane)
    const order = random.shuffled(keysByPartition)
    for (let n = 0; !this.#isOver; n += 1) {
      const keys = order[n % order.length] ?? []
      const key = random.one(keys)
      if (instance.url === undefined) {
        await this.#rest(idleMs)
        continue
      }
      await this.#emit(instance, [
        this.#options.account.emitting({ id: `${lane}-${n}`, key, lane }),
      ])
      await this.#rest(singlePauseMs)
    }
  }

  async #batches(instance: Instance, lane: string): Promise<void> {
    const random = this.#random(lane)
    for (let n = 0; !this.#isOver; n += 1) {
      if (instance.url !== undefined) {
        const batch = `${lane}-${n}`
        const keys = random.shuffled(allKeys).slice(0, batchEvents)
        await this.#emit(
          instance,
          keys.map((key, i) =>
            this.#options.account.emitting({ id: `${batch}-${i}`, key, lane, batch }),
          ),
        )
      }
      await this.#rest(batchPauseMs)
    }
  }

  async #settings(): Promise<void> {
    const random = this.#random('settings')
    while (!this.#isOver) {
      await this.#set(random.one(allKeys))
      await this.#rest(settingPauseMs)
    }
  }

  async #set(key: string): Promise<number | undefined> {
    const { account, instances } = this.#options
    this.#versions += 1
    const version = this.#versions
    const setting: Setting = { is: 'setting', version }
    account.setting(key, version)
    const answer = await this.#post(
      this.#another(instances),
      `settings/${key}`,
      JSON.stringify(setting),
    )
    if (outcomeOf(answer) !== 'acknowledged') return undefined
    account.settingAcknowledged(key, version)
    return version
  }

  /** All of them, or none. Again only while it is sure that nothing of it is there. */
  async #emit(first: Instance, events: readonly Emitted[]): Promise<void> {
    const { account } = this.#options
    const [one] = events
    const isBatch = one?.batch !== undefined
    const path = isBatch ? 'events' : `events/${one?.key}`
    const body = isBatch
      ? events.map(({ id, key }) => JSON.stringify({ key, value: eventOf(id) })).join('\n')
      : JSON.stringify(eventOf(one?.id ?? ''))
    let instance = first
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#post(instance, path, body)
      const outcome = outcomeOf(answer)
      for (const event of events) {
        settle(event, outcome, answer)
        if (outcome === 'acknowledged') account.acknowledged(event)
      }
      if (outcome !== 'refused') return
      account.refused(answer.code)
      if (attempt === attempts) return
      await pause(againMs * attempt)
      instance = this.#another(this.#options.instances)
    }
  }

  #another(instances: readonly Instance[]): Instance {
    const up = instances.filter(({ url }) => url !== undefined)
    const list = up.length > 0 ? up : instances
    const [found] = list.slice(Math.floor(Math.random() * list.length))
    if (found === undefined) throw new RangeError('there are no instances')
    return found
  }

  async #post(instance: Instance, path: string, body: string): Promise<Answer> {
    const answer = await instance.ask(`/emitters/${path}`, { method: 'POST', body })
    if (isInexcusable(answer))
      this.#options.wrong(`POST ${path} at ${instance.name}: ${answer.status} ${answer.message}`)
    return answer
  }

  #random(lane: string): Choice {
    return new Choice(
      [...lane].reduce((sum, char) => sum * 31 + char.charCodeAt(0), this.#options.seed),
    )
  }

  get #isOver(): boolean {
    return this.#end.signal.aborted
  }

  async #rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#end.signal }).catch(() => {})
  }
}

function settle(event: Emitted, outcome: Outcome, { body }: Answer): void {
  event.outcome = outcome
  if (outcome !== 'acknowledged') return
  const { token, partition, offset } = Object(body)
  event.token = String(token)
  if (event.batch === undefined)
    event.place = { partition: Number(partition), offset: Number(offset) }
}
