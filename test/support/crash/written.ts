// Which step of the log a write to its database is, by what lies under the keys that it writes.
import { behind, firstOf } from '#host/log/embedded/layout.js'

const kinds = ['epoch', 'topic', 'partition', 'position', 'doomed', 'cleaned'] as const

/** Undefined: nothing is written. */
export function stepOf(method: string, args: readonly unknown[]): string | undefined {
  if (method === 'clear' || method === 'del') return `log/${method}`
  if (method !== 'batch' || !Array.isArray(args[0])) return undefined
  const written = new Set<string>()
  for (const { type, key } of args[0]) written.add(`${type} ${kindOf(key)}`)
  if (written.has('put position')) return 'log/flush'
  if (written.has('put topic')) return 'log/topics'
  if (written.has('put cleaned')) return 'log/compacted'
  if (written.has('put partition')) return 'log/retention'
  if (written.has('del entry')) return 'log/compaction'
  if (written.has('put entry')) return 'log/append'
  if (written.has('put doomed')) return 'log/remove'
  return 'log/meta'
}

function kindOf(key: Buffer): string {
  const found = kinds.find((kind) => inKind(key, kind))
  if (found !== undefined) return found
  return key[0] === 0 ? 'meta' : 'entry'
}

const inKind = (key: Buffer, kind: (typeof kinds)[number]): boolean =>
  firstOf(kind).compare(key) <= 0 && behind(kind).compare(key) > 0
