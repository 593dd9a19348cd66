// Reads all the while: what was acknowledged has to be there for whoever waits for it, and nothing may go back.
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Choice } from '../test/support/choice.js'
import type { Account, Emitted } from './account.js'
import { type Answer, isInexcusable } from './client.js'
import { sumKey } from './functions.js'
import type { Instance } from './instance.js'
import type { Read } from './oracle.js'

export interface ProbesOptions {
  readonly account: Account
  readonly instances: readonly Instance[]
  readonly seed: number
  readonly wrong: (what: string) => void
}

const pauseMs = 60
const idleMs = 100
/** For a host to have it; then another is asked. */
const waitMs = 3_000
/** Of reads, those of the second table of the chain. */
const ofSum = 0.3
/** And those that wait for nothing. */
const plain = 0.3

export class Probes {
  readonly reads: Read[] = []
  /** Those that no host has answered, by table and the last one's word. */
  readonly unanswered = new Map<string, number>()
  /** That waited for nothing. */
  plainReads = 0
  readonly #options: ProbesOptions
  readonly #end = new AbortController()
  readonly #lanes: Promise<void>[]
  /** By table and key the highest that a finished read has told. */
  readonly #told = new Map<string, { readonly n: number; readonly at: string }>()

  constructor(options: ProbesOptions) {
    this.#options = options
    // Each lane that rests listens to it.
    setMaxListeners(0, this.#end.signal)
    this.#lanes = options.instances.map((instance) => this.#probe(instance))
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#lanes)
  }

  async #probe(instance: Instance): Promise<void> {
    const seed = this.#options.seed + instance.name.charCodeAt(0)
    const random = new Choice(seed)
    while (!this.#end.signal.aborted) {
      const event = this.#recent(random)
      if (event === undefined || instance.url === undefined) {
        await this.#rest(idleMs)
        continue
      }
      const table = random.happens(ofSum) ? 'sum' : 'count'
      await this.#read(random, instance, table, event, random.happens(plain))
      await this.#rest(pauseMs)
    }
  }

  /** Of the newest that were acknowledged. */
  #recent(random: Choice): Emitted | undefined {
    const { recent } = this.#options.account
    return recent.length === 0 ? undefined : random.one(recent)
  }

  async #read(
    random: Choice,
    first: Instance,
    table: 'count' | 'sum',
    { key, id, token }: Emitted,
    isPlain: boolean,
  ): Promise<void> {
    const others = this.#options.instances.filter((one) => one !== first && one.url !== undefined)
    const path = `/views/${table}/${table === 'sum' ? sumKey(key) : key}`
    const query = isPlain ? '' : `?after=${token}&timeoutMs=${waitMs}`
    const name = `${table} ${key}`
    let last: Answer | undefined
    for (const instance of [first, ...random.shuffled(others)]) {
      if (instance.url === undefined) continue
      // What was told before it is asked; what is told meanwhile may be newer than what is read.
      const before = this.#told.get(name)
      const answer = await instance.ask(path + query)
      last = answer
      if (isInexcusable(answer))
        this.#options.wrong(`GET ${path} at ${instance.name}: ${answer.status} ${answer.message}`)
      const n = numberOf(table, answer)
      if (n === undefined) continue
      if (isPlain) this.plainReads += 1
      else this.reads.push({ table, key, id, at: instance.name, n })
      if (before !== undefined && n < before.n)
        this.#options.wrong(
          `GET ${path} at ${instance.name} goes back: ${n}, after ${before.n} at ${before.at}`,
        )
      if (n > (this.#told.get(name)?.n ?? 0)) this.#told.set(name, { n, at: instance.name })
      return
    }
    const why = `${table} ${last === undefined ? 'no host' : last.code}`
    this.unanswered.set(why, (this.unanswered.get(why) ?? 0) + 1)
  }

  async #rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#end.signal }).catch(() => {})
  }
}

/** Undefined: it does not tell. */
function numberOf(table: 'count' | 'sum', { status, code, body }: Answer): number | undefined {
  if (code === 'KEY_NOT_FOUND') return 0
  if (status !== 200) return undefined
  return Number(table === 'count' ? Object(body).count : Object(body).n)
}
