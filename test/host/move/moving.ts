// A log with something of everything to move, and what has to be found where it was moved to.
import type { Test } from 'tap'
import type { OwnedLog } from '#host/log/embedded/contents.js'
import { type EmbeddedLogOptions, openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Header, Log, LogRecord, RecordToAppend } from '#host/log/log.js'
import { Random } from '#host/log/memory/random.js'
import { type MoveOptions, type MovePhase, type MoveResult, moveLog } from '#host/move/move.js'
import { testFolder } from '../../support/folder.js'

export async function sourceLog(
  t: Test,
  path = testFolder(t),
  options: Partial<EmbeddedLogOptions> = {},
): Promise<OwnedLog> {
  const log = await openEmbeddedLog({
    path,
    maintenance: null,
    onFailure: (error) => t.fail(error.message),
    ...options,
  })
  t.teardown(() => log[Symbol.asyncDispose]())
  return log
}

export const startedAt = 1_700_000_000_000

/** Streams, a table, a loop; two groups, whose positions lie in the middle, at the ends and at none. */
export async function fill(log: Log, { seed = 1, records = 300 } = {}): Promise<void> {
  const random = new Random(seed)
  await log.ensure([
    { name: 'clicks', kind: 'stream', partitions: 4 },
    { name: 'count-loop', kind: 'stream', partitions: 4 },
    { name: 'count-table', kind: 'table', partitions: 4 },
    { name: 'empty', kind: 'stream', partitions: 4 },
    { name: 'shouts', kind: 'stream', partitions: 2 },
  ])
  const clicks: RecordToAppend[] = []
  for (let i = 0; i < records; i++) clicks.push(anyRecord(random, 'clicks', i % 4, i))
  for (let at = 0; at < records; at += 40) await log.append(clicks.slice(at, at + 40))
  await log.append(
    clicks
      .slice(0, records / 2)
      .map((one) => ({ ...one, topic: 'shouts', partition: one.partition % 2 })),
  )
  for (const partition of [0, 1, 2, 3]) {
    const writer = await log.openWriter('count', partition)
    const read = partition * 10
    for (let flush = 1; flush <= 3; flush++) {
      const position = { topic: 'clicks', partition, offset: flush * read }
      const positions: Header = [
        'millrace-positions',
        Buffer.from(JSON.stringify({ clicks: flush * read })),
      ]
      await writer.commit({
        records: [
          { ...anyRecord(random, 'count-loop', partition, flush), key: Buffer.from('l') },
          tableRecord(partition, 'alice', flush),
          tableRecord(partition, `only-${flush}`, flush),
          { ...tableRecord(partition, 'gone', flush === 3 ? null : flush), headers: [positions] },
        ],
        positions: [position, { topic: 'count-loop', partition, offset: flush - 1 }],
      })
    }
  }
  const idle = await log.openWriter('shout', 1)
  await idle.commit({ records: [], positions: [{ topic: 'shouts', partition: 1, offset: 0 }] })
}

export const tableRecord = (
  partition: number,
  key: string,
  value: number | null,
): RecordToAppend => ({
  topic: 'count-table',
  partition,
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(JSON.stringify(value)),
  timestamp: startedAt + (value ?? 0),
})

function anyRecord(random: Random, topic: string, partition: number, i: number): RecordToAppend {
  const key = random.happens(0.1) ? null : Buffer.from(`key-${random.upTo(20)}`)
  const value = random.happens(0.1) ? null : Buffer.alloc(random.upTo(2_000), `${i} `)
  const headers: Header[] = [
    ['trace', Buffer.from(`${i}`)],
    ['schräg', Buffer.alloc(0)],
  ]
  const more = random.happens(0.2) ? { headers: headers.slice(0, random.upTo(2)) } : {}
  return { topic, partition, key, value, timestamp: startedAt - random.upTo(1000), ...more }
}

export interface Moved {
  readonly result: MoveResult
  readonly phases: MovePhase[]
  readonly kept: string[]
  readonly notices: string[]
}

export async function move(
  source: OwnedLog,
  target: Log,
  more: Partial<MoveOptions> = {},
): Promise<Moved> {
  const phases: MovePhase[] = []
  const kept: string[] = []
  const notices: string[] = []
  const result = await moveLog({
    source,
    target,
    namespace: '',
    retentionMs: 1000,
    // Just after all of it was written.
    now: () => startedAt,
    keep: async (streams) => {
      kept.push(...streams.map(({ name, retentionMs }) => `${name} ${retentionMs}`))
    },
    members: async () => new Map(),
    signal: new AbortController().signal,
    patienceMs: 10_000,
    // Small, so that there are many commits.
    readBytes: 2_000,
    notice: (text) => notices.push(text),
    events: { phase: (phase) => phases.push(phase), moved: () => {}, verified: () => {} },
    ...more,
  })
  return { result, phases, kept, notices }
}

/** A move that is stopped before the positions are moved: rejects with `stopped`. */
export async function moveUntilVerifying(source: OwnedLog, target: Log): Promise<Moved> {
  const stop = new AbortController()
  const events = {
    phase: (phase: MovePhase) => {
      if (phase === 'verifying') stop.abort(new Error('stopped'))
    },
    moved: () => {},
    verified: () => {},
  }
  return await move(source, target, { signal: stop.signal, events })
}

export const topics = ['clicks', 'count-loop', 'count-table', 'empty', 'shouts']

/** Every record of a topic, and for each group what it has not read, as text. */
export async function contentOf(log: Log): Promise<Record<string, string[]>> {
  const content: Record<string, string[]> = {}
  const infos = await log.describe(topics)
  for (const name of topics) {
    for (const { partition, oldest, stableEnd } of infos.get(name)?.partitions ?? []) {
      content[`${name}/${partition}`] = await read(log, name, partition, oldest, stableEnd)
    }
  }
  for (const group of ['count', 'shout']) {
    for (const { topic, partition, offset } of await log.committed(group)) {
      const { stableEnd = -1 } = infos.get(topic)?.partitions[partition] ?? {}
      content[`${group} in ${topic}/${partition}`] = await read(
        log,
        topic,
        partition,
        offset,
        stableEnd,
      )
    }
  }
  return content
}

async function read(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  to: number,
): Promise<string[]> {
  const found: string[] = []
  await using reader = log.reader()
  reader.assign([{ topic, partition, offset: from }])
  for (let next = from; next < to; ) {
    for (const batch of await reader.next()) {
      found.push(...batch.records.map(shown))
      next = batch.next
    }
  }
  return found
}

function shown({ key, value, timestamp, headers }: LogRecord): string {
  const own = headers
    .filter(([name]) => name !== 'millrace-positions')
    .map(([name, content]) => `${name}=${content.toString('base64')}`)
  return `${timestamp} ${key?.toString() ?? '-'} ${value?.toString() ?? '-'} ${own.join(' ')}`
}
