// What was posted and what became of it, kept apart from the host: from it follows what every table has to be.
import { type Announced, type Event, loopKeys, tables } from './functions.js'

export type Tables = Readonly<Record<(typeof tables)[number], ReadonlyMap<string, unknown>>>

/** What lies in a stream that functions write to. */
export interface Output {
  readonly stream: string
  /** Records that it has ever had. */
  readonly ever: number
  /** Those that have not expired, as `key value`, in the order of their key. */
  readonly kept: readonly string[]
}

interface Batch {
  readonly name: string
  readonly events: readonly { readonly key: string; readonly event: Event }[]
}

/** `undefined`: deleted. */
type Mark = number | undefined

export class Account {
  readonly #counted: Batch[] = []
  /** Whether they count is known after the next restart. */
  readonly #unanswered = new Set<Batch>()
  readonly #marks = new Map<string, Mark>()
  readonly #unansweredMarks = new Map<string, Mark>()

  get acknowledged(): number {
    return this.#counted.length
  }

  get unanswered(): number {
    return this.#unanswered.size + this.#unansweredMarks.size
  }

  /** Before it is posted; what is returned is called when it was acknowledged. */
  posting(batch: Batch): () => void {
    this.#unanswered.add(batch)
    return () => {
      this.#unanswered.delete(batch)
      this.#counted.push(batch)
    }
  }

  /** As `posting`. One at a time for each key; not while the last one is unanswered. */
  marking(key: string, mark: Mark): () => void {
    this.#unansweredMarks.set(key, mark)
    return () => {
      this.#unansweredMarks.delete(key)
      this.#marks.set(key, mark)
    }
  }

  isInDoubt(key: string): boolean {
    return this.#unansweredMarks.has(key)
  }

  /** Of tables in which everything is handled that a host before this one was asked for. Empty: all is as it has to be. */
  differences(found: Tables): string[] {
    this.#settle(found)
    return tables.flatMap((table) => compare(table, found[table], this.#expected(table)))
  }

  /** After `differences`, by which every request is settled: each output has each event once. Of what has expired only the number is known. */
  outputDifferences(outputs: readonly Output[]): string[] {
    const events = this.#counted.flatMap(({ events }) => events)
    return outputs.flatMap(({ stream, ever, kept }) => {
      const missing = new Map<string, number>()
      for (const { event } of events) {
        const record = `${event.batch} ${JSON.stringify(event)}`
        missing.set(record, (missing.get(record) ?? 0) + 1)
      }
      const tooMany = kept.filter((record) => {
        const left = (missing.get(record) ?? 0) - 1
        missing.set(record, left)
        return left < 0
      })
      const wrong = tooMany.map((record) => `${stream}: one too many: ${record}`)
      if (ever !== events.length) wrong.push(`${stream}: ${ever} records, not ${events.length}`)
      return wrong
    })
  }

  /**
   * After `differences`: each event is announced at least once, again only as it was before, and with `inOrder` only behind all that its
   * key had announced before it. Of what has expired nothing is known.
   */
  repeatedDifferences(
    { stream, ever, kept }: Output,
    { inOrder }: { readonly inOrder: boolean },
  ): string[] {
    const isWhole = ever === kept.length
    const found = kept.map((line): readonly [string, Announced] => {
      const [key = ''] = line.split(' ', 1)
      return [key, JSON.parse(line.slice(key.length + 1))]
    })
    const announced = byKey(found)
    const counted = this.#counted.flatMap(({ events }) => events)
    const posted = byKey(counted.map(({ key, event }) => [key, event]))
    return [...posted].flatMap(([key, events]) => {
      const own = announced.get(key) ?? []
      const wrong = wronglyNumbered(own, { inOrder, isWhole })
      if (own.length > 0 || isWhole) wrong.push(...wronglyAnnounced(own, events))
      return wrong.map((what) => `${stream} ${key}: ${what}`)
    })
  }

  /** An unanswered request is there or not; if a part of it is there, all of it has to be. */
  #settle({ receipts, register }: Tables): void {
    for (const batch of this.#unanswered) {
      this.#unanswered.delete(batch)
      if (receipts.has(batch.name)) this.#counted.push(batch)
    }
    for (const [key, mark] of this.#unansweredMarks) {
      this.#unansweredMarks.delete(key)
      if (register.get(key) === mark) this.#marks.set(key, mark)
    }
  }

  #expected(table: keyof Tables): Map<string, unknown> {
    switch (table) {
      case 'totals':
      case 'mirror':
      case 'announce':
        return this.#sums(({ key, event }) => [key, `loop-${event.w % loopKeys}`])
      case 'slow':
        return this.#sums(({ key }) => [key])
      case 'receipts': {
        const sums = this.#sums(({ event }) => [event.batch])
        return new Map(
          [...sums].map(([key, sum]) => [key, { seen: sum, slowed: sum, copied: sum }]),
        )
      }
      case 'pending':
        return new Map()
      case 'register':
        return new Map([...this.#marks].filter(([, mark]) => mark !== undefined))
    }
  }

  #sums(keysOf: (posted: Batch['events'][number]) => readonly string[]) {
    const sums = new Map<string, { count: number; sum: number }>()
    for (const posted of this.#counted.flatMap(({ events }) => events)) {
      for (const key of keysOf(posted)) {
        const was = sums.get(key) ?? { count: 0, sum: 0 }
        sums.set(key, { count: was.count + 1, sum: was.sum + posted.event.w })
      }
    }
    return sums
  }
}

function byKey<T>(pairs: readonly (readonly [string, T])[]): Map<string, T[]> {
  const lists = new Map<string, T[]>()
  for (const [key, item] of pairs) {
    const list = lists.get(key)
    if (list === undefined) lists.set(key, [item])
    else list.push(item)
  }
  return lists
}

function wronglyAnnounced(announced: readonly Announced[], posted: readonly Event[]): string[] {
  const wrong: string[] = []
  const byNumber = new Map(announced.map(({ n, ...event }) => [n, JSON.stringify(event)]))
  const last = Math.max(0, ...byNumber.keys())
  if (last !== posted.length) wrong.push(`number ${last} is the last, of ${posted.length}`)
  const left = byKey(posted.map((event) => [JSON.stringify(event), event]))
  for (const event of byNumber.values()) {
    if (left.get(event)?.pop() === undefined) wrong.push(`nobody has posted ${event} as often`)
  }
  return wrong
}

function wronglyNumbered(
  announced: readonly Announced[],
  { inOrder, isWhole }: { readonly inOrder: boolean; readonly isWhole: boolean },
): string[] {
  const wrong: string[] = []
  const seen = new Map<number, string>()
  let most = isWhole ? 0 : (announced[0]?.n ?? 1) - 1
  const least = most + 1
  let before = most
  for (const one of announced) {
    const text = JSON.stringify(one)
    if ((seen.get(one.n) ?? text) !== text) wrong.push(`two have the number ${one.n}`)
    seen.set(one.n, text)
    // Again from somewhere, then on from there: the last one is the newest, whatever was repeated.
    if (inOrder && one.n > before + 1) wrong.push(`${one.n} comes behind ${before}`)
    before = one.n
    most = Math.max(most, one.n)
  }
  if (inOrder && before !== most) wrong.push(`${before} is the last, not ${most}`)
  for (let n = least; n <= most; n += 1) if (!seen.has(n)) wrong.push(`${n} is missing`)
  return wrong
}

function compare(
  table: keyof Tables,
  found: ReadonlyMap<string, unknown>,
  expected: ReadonlyMap<string, unknown>,
): string[] {
  const keys = new Set([...found.keys(), ...expected.keys()])
  return [...keys].flatMap((key) => {
    const [is, shall] = [shown(table, found.get(key)), shown(table, expected.get(key))]
    return is === shall ? [] : [`${table} ${key}: is ${is}, shall be ${shall}`]
  })
}

/** Where in the log a key was handled last, and what it read, depends on how requests met; that it never went back does not. */
function shown(table: keyof Tables, value: unknown): string {
  const isOrdered = table === 'slow' || table === 'mirror'
  if (!isOrdered || typeof value !== 'object' || value === null) return JSON.stringify(value)
  const { last: _, joined: __, disorder, ...rest } = { last: 0, joined: 0, disorder: 0, ...value }
  return JSON.stringify(disorder === 0 ? rest : { ...rest, disorder })
}
