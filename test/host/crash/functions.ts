// The functions that the crash tests run: each way in which an effect can leave a handler, each of them to be accounted for.

/** What is posted to the stream `events`, under a key. */
export interface Event {
  readonly batch: string
  /** Events of the batch, all of them posted at once. */
  readonly size: number
  /** A weight of its own: the sums tell apart one event twice and another not at all. */
  readonly w: number
}

/** An event as it is announced: which of its key it is, from 1. */
export interface Announced extends Event {
  readonly n: number
}

export const loopKeys = 5

/** `edition` makes each save another version; it changes nothing of what is counted. `more`: of a stream that nobody writes to. */
type Source = (edition: number, more?: string) => string

const head = (edition: number) => `
import { defineProcessor, json } from 'millrace'
const edition = ${edition}
type Event = { batch: string; size: number; w: number }
type Sum = { count: number; sum: number }
const add = (was: Sum | undefined, w: number): Sum => {
  if (edition < 0) throw new Error('no such edition')
  return { count: (was?.count ?? 0) + 1, sum: (was?.sum ?? 0) + w }
}`

/** Counts by key, tells of each event by an output, and to itself by a loop. */
const totals: Source = (edition) => `${head(edition)}
export default defineProcessor({
  inputs: { events: json<Event>() },
  outputs: { seen: json<Event>() },
  loop: json<{ w: number }>(),
  table: json<Sum>(),
  on: {
    events(ctx, event) {
      ctx.set(add(ctx.get(), event.w))
      ctx.emit('seen', event.batch, event)
      ctx.loopback('loop-' + (event.w % ${loopKeys}), { w: event.w })
    },
  },
  onLoop(ctx, { w }) {
    ctx.set(add(ctx.get(), w))
  },
})`

/**
 * Eight keys at once, each handler awaiting as long as it happens to. Counts what comes out of a key's order, and how often what it
 * reads of another table is older than it was.
 */
const slow: Source = (edition, more) => `${head(edition)}
export default defineProcessor({
  inputs: { events: json<Event>()${more === undefined ? '' : `, '${more}': json<number>()`} },
  outputs: { slowed: json<Event>() },
  table: json<Sum & { last: number; disorder: number; joined: number }>(),
  joins: { totals: json<Sum>() },
  concurrency: 8,
  on: {
    async events(ctx, event) {
      if (event.w % 3 > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 4))
      const was = ctx.get()
      const joined = ctx.join('totals')?.count ?? 0
      const isInOrder = (was?.last ?? -1) < ctx.offset && (was?.joined ?? 0) <= joined
      const disorder = (was?.disorder ?? 0) + (isInOrder ? 0 : 1)
      ctx.set({ ...add(was, event.w), last: ctx.offset, disorder, joined })
      ctx.emit('slowed', event.batch, event)
    },${more === undefined ? '' : `'${more}'() {},`}
  },
})`

/** Without a table: only the log tells where it was. Nobody reads `noise`, which is there to expire. */
const copy: Source = (edition) => `${head(edition)}
export default defineProcessor({
  inputs: { events: json<Event>() },
  outputs: { copied: json<Event>(), noise: json<string>() },
  on: {
    events(ctx, event) {
      add(undefined, event.w)
      ctx.emit('copied', event.batch, event)
    },
  },
})`

/** As `totals`, but that its output leaves before its count: it may come again, with the number that it had. */
const announce: Source = (edition) => `${head(edition)}
export default defineProcessor({
  inputs: { events: json<Event>() },
  outputs: { announced: json<Announced>() },
  loop: json<{ w: number }>(),
  table: json<Sum>(),
  delivery: 'at-least-once',
  concurrency: 4,
  on: {
    async events(ctx, event) {
      if (event.w % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
      const sum = add(ctx.get(), event.w)
      ctx.set(sum)
      ctx.emit('announced', ctx.key, { ...event, n: sum.count })
      ctx.loopback('loop-' + (event.w % ${loopKeys}), { w: event.w })
    },
  },
  onLoop(ctx, { w }) {
    ctx.set(add(ctx.get(), w))
  },
})
type Announced = Event & { n: number }`

/** Counts the outputs of the three by batch. */
const receipts: Source = (edition) => `${head(edition)}
type Row = Readonly<Record<'seen' | 'slowed' | 'copied', Sum>>
const none = { count: 0, sum: 0 }
const empty: Row = { seen: none, slowed: none, copied: none }
export default defineProcessor({
  inputs: { seen: json<Event>(), slowed: json<Event>(), copied: json<Event>() },
  table: json<Row>(),
  on: {
    seen(ctx, { w }) {
      const row = ctx.get() ?? empty
      ctx.set({ ...row, seen: add(row.seen, w) })
    },
    async slowed(ctx, { w }) {
      const row = ctx.get() ?? empty
      if (w % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
      ctx.set({ ...row, slowed: add(row.slowed, w) })
    },
    copied(ctx, { w }) {
      const row = ctx.get() ?? empty
      ctx.set({ ...row, copied: add(row.copied, w) })
    },
  },
})`

/** Has a batch only as long as it is not complete: one that comes twice, or a deletion that is lost, stays. */
const pending: Source = (edition) => `${head(edition)}
export default defineProcessor({
  inputs: { seen: json<Event>() },
  table: json<Sum>(),
  on: {
    seen(ctx, { w, size }) {
      const sum = add(ctx.get(), w)
      if (sum.count === size) ctx.delete()
      else ctx.set(sum)
    },
  },
})`

/** The last of what was written and deleted. */
const register: Source = (edition) => `${head(edition)}
export default defineProcessor({
  inputs: { marks: json<number>() },
  table: json<number>(),
  tombstones: 'process',
  on: {
    marks(ctx, mark) {
      if (mark === null || edition < 0) ctx.delete()
      else ctx.set(mark)
    },
  },
})`

/** A copy of a table, in which nothing goes back. */
const mirror: Source = (edition) => `${head(edition).replace('defineProcessor', 'defineView')}
export default defineView({
  table: process.env.MILLRACE_NAMESPACE === undefined ? 'totals-table' : process.env.MILLRACE_NAMESPACE + 'totals-table',
  codec: json<Sum>(),
  stored: json<Sum & { disorder: number }>(),
  update(ctx, sum) {
    const was = ctx.get()
    const isInOrder = sum !== null && (was?.count ?? 0) < sum.count && edition >= 0
    ctx.set({ ...(sum ?? { count: 0, sum: 0 }), disorder: (was?.disorder ?? 0) + (isInOrder ? 0 : 1) })
  },
})`

export const sources = { totals, slow, copy, announce, receipts, pending, register, mirror }
export type FunctionName = keyof typeof sources
export const names = [
  'totals',
  'slow',
  'copy',
  'announce',
  'receipts',
  'pending',
  'register',
  'mirror',
] as const
/** Streams in which each event has to be once, under its batch. */
export const outputs = ['seen', 'slowed', 'copied'] as const
/** The stream in which each event has to be at least once, under its key, numbered as `Announced`. */
export const repeated = 'announced'
export const tables = [
  'totals',
  'slow',
  'announce',
  'receipts',
  'pending',
  'register',
  'mirror',
] as const
/** With a table of their own. */
export const withTable = ['totals', 'slow', 'announce', 'receipts', 'pending', 'register'] as const
