// What a partition's records find when its owner is not there: a record every few milliseconds, and the handler's own word of each gap between two.
import { setTimeout as pause } from 'node:timers/promises'
import { partitionOf } from '../host/log/partitioner.js'
import { Client } from './client.js'
import type { HostProcess } from './host-process.js'

export const partitions = 8
const emitEveryMs = 4
/** Shorter ones are what flushes and the machine make. */
const leastGapMs = 25
const gapLine = 'nothing was handled'

/** Tells each time in which no record of a partition was handled, also when another process has handled the one before. */
export const gapFunction = (more = '') => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<{ at: number; by: number; count: number }>(),${more}
  on: {
    clicks(ctx) {
      const before = ctx.get()
      const at = Date.now()
      const ms = at - (before?.at ?? at)
      const { partition } = ctx
      if (ms >= ${leastGapMs}) ctx.log.info('${gapLine}', { partition, at, ms, moved: before?.by !== process.pid })
      ctx.set({ at, by: process.pid, count: (before?.count ?? 0) + 1 })
    },
  },
})
`

export interface Gap {
  readonly partition: number
  readonly at: number
  readonly ms: number
  readonly moved: boolean
}

const gapsOf = (host: HostProcess): Gap[] =>
  host.said.flatMap((line) => {
    if (!line.includes(gapLine)) return []
    const { partition, at, ms, moved }: Gap = JSON.parse(line)
    return [{ partition, at, ms, moved }]
  })

/** The longest of each partition since then. */
export function longestGaps(hosts: readonly HostProcess[], since: number): Gap[] {
  const found = new Map<number, Gap>()
  for (const gap of hosts.flatMap(gapsOf)) {
    if (gap.at < since || gap.ms <= (found.get(gap.partition)?.ms ?? 0)) continue
    found.set(gap.partition, gap)
  }
  return [...found.values()]
}

/** Emits to each partition until it is ended: to all in one request, so that the load leaves the machine to what is measured. */
export function emitToAll(url: string): { end(): Promise<void> } {
  let isOver = false
  const lines = keys.map((key) => JSON.stringify({ key, value: {} }))
  const emit = async () => {
    using client = new Client(url)
    for (; !isOver; await pause(emitEveryMs)) await client.emitLines('clicks', lines)
  }
  const load = emit()
  return {
    async end() {
      isOver = true
      await load
    },
  }
}

/** One for each partition. */
const keys = Array.from({ length: partitions }, (_, partition) => {
  for (let n = 0; ; n += 1) {
    if (partitionOf(Buffer.from(`key-${n}`), partitions, 'murmur2') === partition) return `key-${n}`
  }
})
