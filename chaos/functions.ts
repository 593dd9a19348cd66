// The functions that run through it: a chain of two with a join and a loop, each of whose effects the oracle can account for.

export type Delivery = 'exactly-once' | 'at-least-once'

/** Every so many events of a key the loop is told. */
export const loopEvery = 10
/** Keys of the loop. */
export const loopKeys = 24
export const loopKey = (key: string, count: number): string =>
  `ten-${(Number(key.slice(1)) + count / loopEvery) % loopKeys}`

/** In the stream `events`. What is written says what it is: a consumer finds several topics in one list. */
export interface Event {
  readonly is: 'event'
  readonly id: string
}

/** In `settings`: of a key the higher ones are the later ones. */
export interface Setting {
  readonly is: 'setting'
  readonly version: number
}

/** In `totals`: the nth event of its key. */
export interface Total {
  readonly is: 'total'
  readonly id: string
  readonly n: number
  /** The version that was joined; 0: none. */
  readonly limit: number
  /** In which the event was. */
  readonly partition: number
}

/** Of `count`: of a key of events, or of the loop. */
export interface Counted {
  readonly is: 'count'
  readonly count: number
  readonly limit: number
  /** How often what was joined was older than before. */
  readonly backwards: number
  readonly looped: number
  /** Of what the loop told. */
  readonly sum: number
}

/** Of `sum`. */
export interface Summed {
  readonly is: 'sum'
  /** The highest. */
  readonly n: number
  readonly records: number
  /** How often a total came after another one than that before it. */
  readonly disorder: number
}

/** Of `limits`. */
export interface Limit {
  readonly is: 'limit'
  readonly version: number
}

export const sumKey = (key: string): string => `s-${key}`

interface SourceOptions {
  /** Makes each save another version. */
  readonly edition: number
  readonly delivery: Delivery
}

const head = (edition: number): string => `
import { defineProcessor, json } from 'millrace'
const edition = ${edition}
`

const count = ({ edition, delivery }: SourceOptions): string => `${head(edition)}
export default defineProcessor({
  inputs: { events: json<{ is: 'event'; id: string }>() },
  joins: { limits: json<{ is: 'limit'; version: number }>() },
  outputs: { totals: json() },
  loop: json<{ is: 'loop'; count: number }>(),
  table: json<{ is: 'count'; count: number; limit: number; backwards: number; looped: number; sum: number }>(),
  delivery: '${delivery}',
  on: {
    events(ctx, { id }) {
      if (edition < 0) throw new Error('no such edition')
      const was = ctx.get() ?? { is: 'count', count: 0, limit: 0, backwards: 0, looped: 0, sum: 0 }
      const limit = ctx.join('limits')?.version ?? 0
      const count = was.count + 1
      ctx.set({ ...was, count, limit, backwards: was.backwards + (limit < was.limit ? 1 : 0) })
      ctx.emit('totals', 's-' + ctx.key, { is: 'total', id, n: count, limit, partition: ctx.partition })
      if (count % ${loopEvery} === 0) {
        const key = 'ten-' + ((Number(ctx.key.slice(1)) + count / ${loopEvery}) % ${loopKeys})
        ctx.loopback(key, { is: 'loop', count })
      }
    },
  },
  onLoop(ctx, { count }) {
    const was = ctx.get() ?? { is: 'count', count: 0, limit: 0, backwards: 0, looped: 0, sum: 0 }
    ctx.set({ ...was, looped: was.looped + 1, sum: was.sum + count })
  },
})`

const sum = ({ edition, delivery }: SourceOptions): string => `${head(edition)}
export default defineProcessor({
  inputs: { totals: json<{ n: number }>() },
  table: json<{ is: 'sum'; n: number; records: number; disorder: number }>(),
  delivery: '${delivery}',
  on: {
    totals(ctx, { n }) {
      if (edition < 0) throw new Error('no such edition')
      const was = ctx.get() ?? { is: 'sum', n: 0, records: 0, disorder: 0 }
      const disorder = was.disorder + (n === was.n + 1 ? 0 : 1)
      ctx.set({ is: 'sum', n: Math.max(n, was.n), records: was.records + 1, disorder })
    },
  },
})`

/** What comes late, since nobody knew whether it had come at all, does not take a newer one's place. */
const limits = ({ edition }: SourceOptions): string => `${head(edition)}
export default defineProcessor({
  inputs: { settings: json<{ is: 'setting'; version: number }>() },
  table: json<{ is: 'limit'; version: number }>(),
  on: {
    settings(ctx, { version }) {
      if (edition < 0) throw new Error('no such edition')
      if (version > (ctx.get()?.version ?? 0)) ctx.set({ is: 'limit', version })
    },
  },
})`

export const sources = { count, sum, limits } as const
export type FunctionName = keyof typeof sources
export const functionNames = Object.keys(sources) as FunctionName[]

/** Topics that are read when all is over. */
export const topics = [
  'events',
  'settings',
  'totals',
  'count-table',
  'sum-table',
  'limits-table',
] as const
