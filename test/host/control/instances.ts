// Instances that follow one control topic, each with a host that notes what it is told to do.
import { join } from 'node:path'
import type { Test } from 'tap'
import { Control, type Operated } from '#host/control/control.js'
import { type DoomedTopic, keyOf, type ResetWish, type Wish } from '#host/control/wish.js'
import { HostError } from '#host/errors.js'
import type { Log, RemoveOptions } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { createLogger } from '#host/logger.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

export const names = { group: 'counter', table: 'counter-table', loop: 'counter-loop' }
export const topic = 'millrace-control'

export interface Instance {
  readonly control: Control
  /** What it has done, in order. */
  readonly steps: string[]
  readonly lines: string[]
  stop(): Promise<void>
}

interface Setting {
  readonly log?: Log
  readonly former?: string
  readonly functions?: readonly string[]
  readonly resetMs?: number
  readonly takeOverMs?: number
}

export function instances(t: Test, log: MemoryLog = createMemoryLog()) {
  const folder = testFolder(t)
  const start = (name: string, setting: Setting = {}): Instance => {
    const steps: string[] = []
    const lines: string[] = []
    const control = new Control({
      log: setting.log ?? log,
      namespace: '',
      instance: name,
      logger: createLogger({
        level: 'debug',
        format: 'json',
        stream: { write: (text) => lines.push(text) },
      }),
      former: setting.former ?? join(folder, `${name}.json`),
      times: { retryMs: 2, takeOverMs: 20, hearMs: 5_000, resetMs: 5_000, ...setting },
    })
    const instance = {
      control,
      steps,
      lines,
      stop: async () => await control[Symbol.asyncDispose](),
    }
    t.teardown(() => instance.stop())
    control.start(operated(steps, control, setting.functions ?? ['counter']))
    return instance
  }
  t.teardown(() => log[Symbol.asyncDispose]())
  return { log, start, folder }
}

/** A host that notes what it is told to do. */
function operated(steps: string[], control: Control, functions: readonly string[]): Operated {
  return {
    entries: new Map(functions.map((name) => [name, {}])),
    async operate(name, operation) {
      steps.push(`${operation} ${name}`)
      return functions.includes(name) ? 'here' : undefined
    },
    async reset(name) {
      steps.push(`reset ${name} alone`)
      return { topics: [], positions: 0, asked: 'here' }
    },
    resetting: {
      namesOf: (name) => (name === 'view' ? { view: 'view' } : names),
      async begin(name, _, why) {
        steps.push(`stop ${name}: ${why.code}`)
      },
      async beginAnew(name) {
        steps.push(`begin ${name}`)
      },
      async catchUp(_, deleted) {
        steps.push(`was reset: ${deleted.length} topics`)
      },
    },
    retake: () => steps.push(`ready, paused: ${control.pauses.has('counter')}`),
    visit: async () => undefined,
    evict: async () => false,
    heartbeat: (name) => void steps.push(`heartbeat ${name}`),
  }
}

export const done = (instance: Instance, step: string) =>
  until(`${step} is done`, () => instance.steps.includes(step))

/** Topics of a function with a table and a loop, and its positions. */
export async function madeBy(log: MemoryLog): Promise<void> {
  await log.ensure([
    { name: names.table, kind: 'table', partitions: 1 },
    { name: names.loop, kind: 'stream', partitions: 1 },
  ])
  const writer = await log.openWriter(names.group, 0)
  const position = { topic: names.loop, partition: 0, offset: 0 }
  await writer.commit({ records: [], positions: [position] })
}

/** Of which something is refused, or seen. */
export const instead = (log: Log, methods: Partial<Log>): Log =>
  new Proxy(log, {
    get(of, property) {
      const value: unknown = Reflect.get(methods, property) ?? Reflect.get(of, property, of)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })

/** A log that refuses to remove a group as long as `members` says so; counts what is removed. */
export function grouped(log: MemoryLog, members: () => number) {
  const removals: (readonly string[])[] = []
  const shared = instead(log, {
    async remove(topics: readonly string[], options?: RemoveOptions) {
      if (members() > 0) throw new HostError('GROUP_IN_USE', 'it has members')
      removals.push(options?.ids ?? [])
      await log.remove(topics, options)
    },
  })
  return { shared, removals }
}

/** Says what `instance` would. */
export const say = (log: Log, wish: Wish) =>
  log.append([
    {
      topic,
      partition: 0,
      timestamp: 0,
      key: Buffer.from(keyOf(wish)),
      value: Buffer.from(JSON.stringify(wish)),
    },
  ])

const resetIds = ['zeroth', 'first', 'second', 'third'] as const

/** Of these, which were asked one after the other. */
export const resetOf = (
  id: (typeof resetIds)[number],
  phase: ResetWish['phase'],
  topics: readonly DoomedTopic[] = [],
) => {
  const saying = { id, at: `2030-01-01T00:0${resetIds.indexOf(id)}:00.000Z`, by: 'elsewhere' }
  return { ...saying, kind: 'reset', phase, function: 'counter', names, topics } as const
}
