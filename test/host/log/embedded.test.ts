// The embedded log: what every log does, and what only a folder, threads and killed processes can show.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { ClassicLevel } from 'classic-level'
import t, { type Test } from 'tap'
import { closeOwned, openOwned } from '#host/log/embedded/database.js'
import { type EmbeddedLogOptions, openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import { testFolder } from '../../support/folder.js'
import { from, logConformance, readUntil, record, take, total, values } from './conformance.js'

async function open(
  t: Test,
  path: string,
  options: Partial<EmbeddedLogOptions> = {},
): Promise<Log> {
  const log = await openEmbeddedLog({
    path,
    onFailure: (error) => t.fail('the log has failed', { error: error.message }),
    ...options,
  })
  t.teardown(async () => log[Symbol.asyncDispose]())
  return log
}

const close = async (log: Log): Promise<void> => log[Symbol.asyncDispose]()

logConformance(t, 'embedded', async (t) => ({ log: await open(t, testFolder(t)) }))
logConformance(t, 'embedded, sync', async (t) => ({
  log: await open(t, testFolder(t), { sync: true }),
}))

void t.test('a log that is opened again has all it had, in a new epoch', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path)
  await log.ensure([
    { name: 'clicks', kind: 'stream', partitions: 2 },
    { name: 'counts', kind: 'table', partitions: 1 },
  ])
  await log.append([record('clicks', 0, 'a'), record('clicks', 0, 'b'), record('clicks', 1, 'c')])
  const writer = await log.openWriter('g', 0)
  await writer.commit({ records: [record('counts', 0, '1')], positions: [from('clicks', 0, 2)] })
  const before = await log.describe(['clicks', 'counts'])
  await close(log)

  const again = await open(t, path)
  const after = await again.describe(['clicks', 'counts'])
  for (const [name, topic] of before) {
    const partitions = topic.partitions.map((one) => ({ ...one, leaderEpoch: 2 }))
    t.same(after.get(name), { ...topic, partitions })
  }
  t.same(await again.committed('g'), [from('clicks', 0, 2)])
  t.same(values(await take(again, from('clicks', 0, 0), 2)), ['a', 'b'])
  t.same(await again.append([record('clicks', 0, 'd')]), [2])
  t.same(values(await take(again, from('clicks', 0, 1), 2)), ['b', 'd'])
  const at = { topic: 'clicks', partition: 0 }
  t.same(await again.endOfEpoch(at, 1), { leaderEpoch: 1, end: 2 })
  t.same(await again.endOfEpoch(at, 2), { leaderEpoch: 2, end: 3 })
  await close(again)

  const third = await open(t, path)
  t.same(await third.endOfEpoch(at, 1), { leaderEpoch: 1, end: 2 })
  t.same(await third.endOfEpoch(at, 9), { leaderEpoch: 3, end: 3 })
})

void t.test(
  'a topic that is removed leaves nothing, also when its removal was cut short',
  async (t) => {
    const path = testFolder(t)
    const log = await open(t, path)
    const topic = { name: 'clicks', kind: 'stream', partitions: 1 } as const
    await log.ensure([topic])
    await log.append([record('clicks', 0, 'a')])
    await log.remove(['clicks'])
    await close(log)
    const bytes = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
    const database = new ClassicLevel<Buffer, Buffer>(path, bytes)
    const entries = { gte: Buffer.of(0x10), lt: Buffer.of(0x11) }
    t.same(await database.keys(entries).all(), [])
    // As a crash right after the removal leaves it: the topic's number is doomed, its entries are there.
    const entry = Buffer.concat([Buffer.of(0x10), Buffer.from([0, 0, 0, 1]), Buffer.alloc(12)])
    const doomed = Buffer.of(0x05, 0, 0, 0, 1)
    const check = Buffer.alloc(4)
    check.writeUInt32BE(crc32(doomed))
    await database.batch([
      { type: 'put', key: doomed, value: check },
      { type: 'put', key: entry, value: Buffer.alloc(12) },
    ])
    await database.close()
    const again = await open(t, path)
    await again.ensure([topic])
    await again.append([record('clicks', 0, 'b')])
    t.same(values(await take(again, from('clicks', 0, 0), 1)), ['b'])
    await close(again)
    await database.open()
    t.equal((await database.keys(entries).all()).length, 1)
    t.equal(await database.get(doomed), undefined)
    await database.close()
  },
)

interface Entry {
  readonly key: Buffer
  readonly value: Buffer
}

/** Changes the stored entries of a log that is closed, of its first topic. */
async function tamper(path: string, change: (entries: readonly Entry[]) => Entry): Promise<void> {
  const bytes = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
  const database = new ClassicLevel<Buffer, Buffer>(path, bytes)
  const found = await database.iterator({ gte: Buffer.of(0x10), lt: Buffer.of(0x11) }).all()
  const { key, value } = change(found.map(([at, entry]) => ({ key: at, value: entry })))
  await database.put(key, value)
  await database.close()
}

const flipped = (entry: Buffer, at: number): Buffer => {
  const other = Buffer.from(entry)
  other[at] = (other[at] ?? 0) ^ 1
  return other
}

const headBytes = 41

const ways: Record<string, (entry: Buffer) => Buffer> = {
  'its last byte missing': (entry) => entry.subarray(0, -1),
  'a byte too many': (entry) => Buffer.concat([entry, Buffer.of(0)]),
  'its head cut': (entry) => entry.subarray(0, 3),
  'nothing but its head': (entry) => entry.subarray(0, headBytes),
  'a record cut': (entry) => entry.subarray(0, headBytes + 8),
  'a flipped bit in its checksums': (entry) => flipped(entry, 5),
  'a flipped bit in its head': (entry) => flipped(entry, 12),
  'a flipped bit in a length': (entry) => flipped(entry, headBytes),
  'a flipped bit in a key': (entry) => flipped(entry, entry.indexOf('key')),
  'a flipped bit in a value': (entry) => flipped(entry, entry.length - 1),
}

for (const [what, damage] of Object.entries(ways)) {
  void t.test(`an entry with ${what} is named as damaged, never read as another`, async (t) => {
    const path = testFolder(t)
    const log = await open(t, path)
    await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
    await log.append([record('clicks', 0, 'before', { timestamp: 1 })])
    const headers = [['h', Buffer.from('content')]] as const
    await log.append([record('clicks', 0, 'a', { headers }), record('clicks', 0, 'b', { headers })])
    await log.append([record('clicks', 0, 'after', { timestamp: 1 })])
    await close(log)
    await tamper(path, ([, middle]) => {
      if (middle === undefined) throw new Error('the log has merged the appends')
      return { key: middle.key, value: damage(middle.value) }
    })
    const again = await open(t, path)
    const damaged = {
      code: 'LOG_DAMAGED',
      retryable: false,
      stream: 'clicks',
      partition: 0,
      offset: 1,
    }
    await using reader = again.reader()
    reader.assign([from('clicks', 0, 0)])
    const before = (await reader.next())[0]
    t.same(values(before?.records ?? []), ['before'], 'what lies before it is read')
    t.equal(before?.next, 1)
    await t.rejects(reader.next(), damaged)
    await t.rejects(reader.next(), damaged, 'and it is not passed over')
    reader.assign([from('clicks', 0, 2)])
    await t.rejects(reader.next(), damaged, 'from within, too')
    await t.rejects(again.offsetAt('clicks', 1_000_000), damaged)
    reader.assign([from('clicks', 0, 3)])
    t.same(values((await reader.next())[0]?.records ?? []), ['after'])
  })
}

void t.test('a damaged partition keeps nothing back of those that are read with it', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path)
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 2 }])
  const sent = Array.from({ length: 20 }, (_, i) => record('clicks', i % 2, `${i}`))
  await log.append(sent.slice(0, 10))
  await log.append(sent.slice(10))
  await close(log)
  await tamper(path, ([first]) => ({
    key: first?.key ?? Buffer.alloc(0),
    value: first?.value.subarray(0, -1) ?? Buffer.alloc(0),
  }))
  const again = await open(t, path)
  await using reader = again.reader()
  // From within an entry.
  reader.assign([from('clicks', 0, 1), from('clicks', 1, 1)])
  const found: (string | undefined)[] = []
  let failures = 0
  while (failures < 3) {
    const batches = await reader.next().catch((error: unknown) => {
      t.match(error, { code: 'LOG_DAMAGED', partition: 0, offset: 0 })
      failures++
      return []
    })
    for (const { partition, records } of batches) {
      t.equal(partition, 1)
      found.push(...values(records))
    }
  }
  t.same(
    found,
    [3, 5, 7, 9, 11, 13, 15, 17, 19].map((i) => `${i}`),
  )
})

void t.test('files with other bytes are named as damaged, at the start or when read', async (t) => {
  const path = testFolder(t)
  let log = await open(t, path)
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  const value = randomBytes(500_000)
  for (let i = 0; i < 50; i++) await log.append([record('clicks', 0, null, { value })])
  await close(log)
  // At its next start LevelDB writes what is left in its journal to table files.
  await close(await open(t, path))
  const [file = ''] = (await readdir(path)).filter((name) => name.endsWith('.ldb')).sort()
  const bytes = await readFile(join(path, file))
  const middle = bytes.length >> 1
  // More than one record, so that it surely covers the end of a block.
  await writeFile(join(path, file), Buffer.from(bytes).fill('damage', middle, middle + 600_000))
  log = await open(t, path)
  await using reader = log.reader()
  reader.assign([from('clicks', 0, 0)])
  let next = 0
  const reading = readUntil(reader, (_, [batch]) => {
    next = batch?.next ?? next
    for (const one of batch?.records ?? []) t.ok(one.value?.equals(value))
    return false
  })
  const damaged = { code: 'LOG_DAMAGED', retryable: false }
  await t.rejects(reading, { ...damaged, stream: 'clicks', partition: 0, offset: Number })
  t.ok(next > 0 && next < 50, 'what lies before it was read')
  await t.rejects(log.offsetAt('clicks', 1_800_000_000_000), damaged)
  await close(log)
  const cut = {
    'cut short': bytes.subarray(middle),
    'other bytes': bytes.fill('damage', 0, middle),
  }
  for (const [what, other] of Object.entries(cut)) {
    await writeFile(join(path, file), other)
    await t.rejects(open(t, path), damaged, what)
  }
})

void t.test('a manifest of other bytes keeps the log shut', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path)
  await close(log)
  const manifest = (await readdir(path)).find((file) => file.startsWith('MANIFEST')) ?? ''
  await writeFile(join(path, manifest), Buffer.alloc(4096, 'damage'))
  await t.rejects(open(t, path), { code: 'LOG_DAMAGED', retryable: false })
})

void t.test('a last entry that is no entry any more keeps the log shut', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path)
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  await log.append([record('clicks', 0, 'a')])
  await close(log)
  await tamper(path, ([only]) => ({ key: only?.key ?? Buffer.alloc(0), value: Buffer.alloc(2) }))
  await t.rejects(open(t, path), { code: 'LOG_DAMAGED', stream: 'clicks', partition: 0, offset: 0 })
})

void t.test(
  'a last entry with damaged records is passed by appends, and told to readers',
  async (t) => {
    const path = testFolder(t)
    const log = await open(t, path)
    await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
    await log.append([record('clicks', 0, 'a'), record('clicks', 0, 'b')])
    await close(log)
    await tamper(path, ([only]) => ({
      key: only?.key ?? Buffer.alloc(0),
      value: flipped(only?.value ?? Buffer.alloc(0), (only?.value.length ?? 0) - 1),
    }))
    const again = await open(t, path)
    t.same(await again.append([record('clicks', 0, 'c')]), [2])
    t.same(values(await take(again, from('clicks', 0, 2), 1)), ['c'])
    const damaged = { code: 'LOG_DAMAGED', stream: 'clicks', partition: 0, offset: 0 }
    await t.rejects(take(again, from('clicks', 0, 0), 1), damaged)
  },
)

void t.test('an entry under the key of another is named as damaged', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path)
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  await log.append([record('clicks', 0, 'a')])
  await log.append([record('clicks', 0, 'b')])
  await log.append([record('clicks', 0, 'c')])
  await close(log)
  await tamper(path, ([first, second]) => ({
    key: first?.key ?? Buffer.alloc(0),
    value: second?.value ?? Buffer.alloc(0),
  }))
  const again = await open(t, path)
  await t.rejects(take(again, from('clicks', 0, 0), 1), { code: 'LOG_DAMAGED', offset: 0 })
})

for (const [what, prefix] of Object.entries({ topic: 0x02, position: 0x04, counter: 0x00 })) {
  void t.test(`a ${what} with a flipped bit keeps the log shut`, async (t) => {
    const path = testFolder(t)
    const log = await open(t, path)
    await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
    await log.append([record('clicks', 0, 'a')])
    const writer = await log.openWriter('g', 0)
    await writer.commit({ records: [], positions: [from('clicks', 0, 1)] })
    await close(log)
    const bytes = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
    const database = new ClassicLevel<Buffer, Buffer>(path, bytes)
    const range = { gte: Buffer.of(prefix), lt: Buffer.of(prefix + 1), limit: 1 }
    const [found] = await database.iterator(range).all()
    if (found === undefined) throw new Error(`the log stores no ${what}`)
    await database.put(found[0], flipped(found[1], found[1].length - 1))
    await database.close()
    await t.rejects(open(t, path), { code: 'LOG_DAMAGED', retryable: false })
  })
}

void t.test('an append that meets a removal goes to the topic that was made anew', async (t) => {
  const log = await open(t, testFolder(t))
  const topic = { name: 'clicks', kind: 'stream', partitions: 1 } as const
  await log.ensure([topic])
  await log.append([record('clicks', 0, 'old')])
  // In one turn: when the append is packed, this thread knows the old topic only.
  const [, , offsets] = await Promise.all([
    log.remove(['clicks']),
    log.ensure([topic]),
    log.append([record('clicks', 0, 'new')]),
  ])
  t.same(offsets, [0])
  t.same(values(await take(log, from('clicks', 0, 0), 1)), ['new'])
})

void t.test('a commit never moves the position of a topic that was made anew', async (t) => {
  const log = await open(t, testFolder(t))
  const topics = ['clicks', 'out'].map((name) => ({ name, kind: 'stream', partitions: 1 }) as const)
  await log.ensure(topics)
  await log.append([record('clicks', 0, 'old')])
  const commit = { records: [record('out', 0, 'x')], positions: [from('clicks', 0, 1)] }
  const gone = { kind: 'unknown', cause: { code: 'UNKNOWN_TOPIC' } }

  const first = await log.openWriter('g', 0)
  t.equal((await first.commit(commit)).kind, 'committed')
  // In one turn: when the commit is packed, this thread knows the old topic only.
  const [, , inFlight] = await Promise.all([
    log.remove(['clicks']),
    log.ensure(topics),
    first.commit(commit),
  ])
  t.match(inFlight, gone)
  t.same(await log.committed('g'), [])
  t.match(await first.commit(commit), gone, 'nor once this thread knows it')
  t.same(await log.committed('g'), [])

  const second = await log.openWriter('g', 0)
  t.same(second.positions, [])
  t.equal((await second.commit({ ...commit, positions: [from('clicks', 0, 0)] })).kind, 'committed')
  t.same(await log.committed('g'), [from('clicks', 0, 0)])
  await log.remove(['clicks'])
  t.match(await second.commit(commit), { kind: 'failed', cause: { code: 'UNKNOWN_TOPIC' } })
  t.equal((await take(log, from('out', 0, 0), 2)).length, 2, 'and the outputs only with them')
})

void t.test('an output that is removed under a commit in flight leaves it unknown', async (t) => {
  const log = await open(t, testFolder(t))
  const topics = ['clicks', 'out'].map((name) => ({ name, kind: 'stream', partitions: 1 }) as const)
  await log.ensure(topics)
  const writer = await log.openWriter('g', 0)
  const commit = { records: [record('out', 0, 'x')], positions: [from('clicks', 0, 0)] }
  t.equal((await writer.commit(commit)).kind, 'committed')
  // Keeps the log's thread busy until the commit is behind the removal in its queue.
  const much = Array.from({ length: 20_000 }, (_, n) => record('clicks', 0, `${n}`.padEnd(100)))
  const [, , , outcome] = await Promise.all([
    log.append(much),
    log.remove(['out']),
    log.ensure(topics),
    writer.commit({ ...commit, positions: [from('clicks', 0, 9)] }),
  ])
  t.match(outcome, { kind: 'unknown', cause: { code: 'UNKNOWN_TOPIC' } })
  t.same(await log.committed('g'), [from('clicks', 0, 0)])
  const again = await log.openWriter('g', 0)
  t.equal((await again.commit(commit)).kind, 'committed')
  await log.remove(['out'])
  await log.ensure(topics)
  t.equal((await again.commit(commit)).kind, 'committed', 'an output may be newer than its writer')
  t.same(values(await take(log, from('out', 0, 0), 1)), ['x'])
})

void t.test('one folder has one owner, whichever way it is spelled', async (t) => {
  const path = `${testFolder(t)}/log`
  await open(t, path)
  const locked = { code: 'DATA_LOCKED', message: new RegExp(`process ${process.pid}`) }
  await t.rejects(open(t, path), locked)
  await t.rejects(open(t, `${path}/../${path.split('/').at(-1)}/`), locked)
  const child = appender(t, path, 1)
  const [code] = await once(child.process, 'exit')
  t.equal(code, 1)
  t.match(child.errors(), /DATA_LOCKED/, 'another process still finds it locked')
})

const skip = process.platform !== 'linux' && 'other systems do not tell who holds a lock'

void t.test(
  "a dead owner's number, given anew, does not keep damage from being found",
  { skip },
  async (t) => {
    const sleeping = spawn('sleep', ['60'])
    t.teardown(() => sleeping.kill())
    const thread = readdirSync('/proc/self/task').find((id) => Number(id) !== process.pid)
    for (const [whose, id] of [
      ['a process', sleeping.pid],
      ['a thread', thread],
    ]) {
      const path = testFolder(t)
      const log = await open(t, path)
      await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
      await log.append([record('clicks', 0, 'x')])
      await close(log)
      for (const name of readdirSync(path)) if (name.endsWith('.log')) rmSync(join(path, name))
      writeFileSync(join(path, 'owner.pid'), `${id} 1700000000000`)
      await t.rejects(open(t, path), { code: 'LOG_DAMAGED' }, `it is that of ${whose}`)
    }
  },
)

void t.test('a log that another has taken over meanwhile is not sealed', async (t) => {
  const path = testFolder(t)
  const sealed = async (isTaken: boolean): Promise<boolean> => {
    const database = await openOwned(path)
    if (isTaken) writeFileSync(join(path, 'owner.pid'), `${process.pid} 1`)
    await closeOwned(path, database, true)
    return existsSync(join(path, 'closed.json'))
  }
  t.ok(await sealed(false))
  t.notOk(await sealed(true))
})

void t.test('a folder that is no log of ours is left alone', async (t) => {
  const path = testFolder(t, { file: 'text' })
  await t.rejects(open(t, `${path}/file`), { code: 'DATA_NOT_WRITABLE' })
  const foreign = new ClassicLevel(`${path}/foreign`)
  await foreign.put('a', 'b')
  await foreign.close()
  await t.rejects(open(t, `${path}/foreign`), { code: 'DATA_LAYOUT' })
  const log = await open(t, `${path}/newer`)
  await close(log)
  const bytes = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
  const newer = new ClassicLevel<Buffer, Buffer>(`${path}/newer`, bytes)
  await newer.put(Buffer.from('\0layout'), Buffer.from('millrace log 99'))
  await newer.close()
  await t.rejects(open(t, `${path}/newer`), { code: 'DATA_LAYOUT', message: /millrace log 99/ })
})

void t.test('appends are refused when too much waits, commits are not', async (t) => {
  const log = await open(t, testFolder(t), { maxQueuedBytes: 200_000 })
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  const writer = await log.openWriter('g', 0)
  const some = [record('clicks', 0, 'x'.repeat(40_000))]
  await log.append(some)
  // All in one turn: the log thread's answers cannot come in between.
  const appends = Array.from({ length: 20 }, async () => log.append(some))
  const commit = writer.commit({ records: some, positions: [] })
  const ends = await Promise.allSettled(appends)
  const refused = ends.filter(({ status }) => status === 'rejected')
  t.ok(refused.length > 0 && refused.length < 20)
  for (const end of refused) t.match(end, { reason: { code: 'OVERLOADED', retryable: true } })
  t.equal((await commit).kind, 'committed')
  t.equal((await log.append(some)).length, 1, 'and room is made again')
})

void t.test('a partition limit is named when it is reached, and removal makes room', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path, { maxPartitions: 4 })
  const spec = (name: string, partitions: number) => ({ name, kind: 'stream', partitions }) as const
  await log.ensure([spec('a', 3)])
  await t.rejects(log.ensure([spec('b', 2)]), { code: 'BAD_CONFIG' })
  await log.append([record('a', 0, 'a')])
  await using reader = log.reader()
  reader.assign([from('a', 0, 0)])
  t.equal(total(await readUntil(reader, (found) => total(found) > 0)), 1)
  await log.remove(['a'])
  await log.ensure([spec('b', 4)])
  await t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC' }, 'its slot is another topic’s now')
  await close(log)
  await t.rejects(open(t, path, { maxPartitions: 3 }), { code: 'BAD_CONFIG' })
  await open(t, path, { maxPartitions: 4 })
})

void t.test('another thread reads, appends, commits and is woken through share()', async (t) => {
  const log = await open(t, testFolder(t))
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 2 }])
  const { description, transfer } = log.share()
  const code = `
    import { parentPort, workerData } from 'node:worker_threads'
    const { attachLog } = await import(workerData.open)
    const log = await attachLog(workerData.description)
    const writer = await log.openWriter('g', 1)
    const reader = log.reader()
    reader.assign([{ topic: 'clicks', partition: 0, offset: 0 }])
    for (let seen = 0; seen < 50; ) {
      for (const { records, next } of await reader.next()) {
        seen += records.length
        await writer.commit({
          records: records.map(({ value, timestamp }) => ({ topic: 'clicks', partition: 1, key: null, value, timestamp })),
          positions: [{ topic: 'clicks', partition: 1, offset: next }],
        })
      }
    }
    await log.append([{ topic: 'clicks', partition: 1, key: null, value: Buffer.from('end'), timestamp: 1 }])
    const further = log.share()
    const closed = await attachLog(further.description)
    await closed[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
    parentPort.postMessage('closed')`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { open: import.meta.resolve('#host/log/open.js'), description },
    transferList: transfer,
  })
  const closed = once(worker, 'message')
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
  await using reader = log.reader()
  reader.assign([from('clicks', 1, 0)])
  const seen: unknown[] = []
  // The last two may come together.
  const seeAll = async (count: number) => {
    const missing = count - seen.length
    if (missing <= 0) return
    const enough = readUntil(reader, (found) => total(found) >= missing)
    const read = await Promise.race([enough, failed])
    seen.push(...values([...read.values()].flat()))
  }
  for (let i = 0; i < 50; i++) {
    await log.append([record('clicks', 0, `${i}`)])
    await seeAll(i + 1)
    t.same(seen[i], `${i}`)
  }
  await seeAll(51)
  t.same(seen.slice(50), ['end'])
  t.same(await Promise.race([closed, failed]), ['closed'])
  await once(worker, 'exit')
  t.same(await log.committed('g'), [from('clicks', 1, 50)])
})

void t.test('a thread that ends without closing leaves the log whole', async (t) => {
  const log = await open(t, testFolder(t))
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  for (let i = 0; i < 3; i++) {
    const { description, transfer } = log.share()
    const code = `
      import { workerData } from 'node:worker_threads'
      const { attachLog } = await import(workerData.open)
      const log = await attachLog(workerData.description)
      const reader = log.reader()
      reader.assign([{ topic: 'clicks', partition: 0, offset: 0 }])
      const value = Buffer.alloc(1000)
      for (;;) await Promise.all([reader.next(), log.append([{ topic: 'clicks', partition: 0, key: null, value, timestamp: 1 }])])`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: { open: import.meta.resolve('#host/log/open.js'), description },
      transferList: transfer,
    })
    const end = (await log.describe(['clicks'])).get('clicks')?.partitions[0]?.stableEnd ?? 0
    t.ok((await take(log, from('clicks', 0, end), 20)).length >= 20)
    await worker.terminate()
  }
  const [offset = -1] = await log.append([record('clicks', 0, 'after')])
  t.same(values(await take(log, from('clicks', 0, offset), 1)), ['after'])
})

void t.test('a thread that ends while it sends takes no room from others', async (t) => {
  const log = await open(t, testFolder(t), { maxQueuedBytes: 200_000 })
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  const { description, transfer } = log.share()
  const code = `
    import { MessagePort, workerData } from 'node:worker_threads'
    const { attachLog } = await import(workerData.open)
    const log = await attachLog(workerData.description)
    await log.describe(['clicks'])
    const send = MessagePort.prototype.postMessage
    MessagePort.prototype.postMessage = function (message, transfer) {
      // As terminate() ends it: between two steps.
      if (message.kind === 'append') process.exit(3)
      send.call(this, message, transfer)
    }
    await log.append([{ topic: 'clicks', partition: 0, key: null, value: Buffer.alloc(150_000), timestamp: 1 }])`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { open: import.meta.resolve('#host/log/open.js'), description },
    transferList: transfer,
  })
  t.same(await once(worker, 'exit'), [3])
  t.same(await log.append([record('clicks', 0, 'x')]), [0])
})

void t.test('what other threads have queued counts, too', async (t) => {
  const log = await open(t, testFolder(t), { maxQueuedBytes: 200_000 })
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  const { description, transfer } = log.share()
  // Commits are never refused: the thread keeps more than half of the room taken.
  const code = `
    import { workerData } from 'node:worker_threads'
    const { attachLog } = await import(workerData.open)
    const log = await attachLog(workerData.description)
    const value = Buffer.alloc(1_000_000)
    const records = [{ topic: 'clicks', partition: 0, key: null, value, timestamp: 1 }]
    const loop = async (group) => {
      const writer = await log.openWriter(group, 0)
      for (;;) await writer.commit({ records, positions: [] })
    }
    await Promise.all(['a', 'b', 'c', 'd'].map(loop))`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { open: import.meta.resolve('#host/log/open.js'), description },
    transferList: transfer,
  })
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
  const appends = async (): Promise<unknown> => {
    for (;;) {
      const end = await log.append([record('clicks', 0, 'x')]).catch((error: unknown) => error)
      if (end instanceof Error) return end
    }
  }
  t.match(await Promise.race([appends(), failed]), { code: 'OVERLOADED' })
  await worker.terminate()
  // Its commits are written, and then there is room again.
  for (;;) {
    const end = await log.append([record('clicks', 0, 'x')]).catch((error: unknown) => error)
    if (!(end instanceof Error)) break
    t.match(end, { code: 'OVERLOADED' })
    await new Promise((resolve) => setImmediate(resolve))
  }
})

void t.test('a log that cannot write fails for good, and says so to everyone', async (t) => {
  const path = `${testFolder(t)}/log`
  const failures: unknown[] = []
  const log = await open(t, path, { onFailure: (error) => failures.push(error) })
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 1 }])
  const writer = await log.openWriter('g', 0)
  await using reader = log.reader()
  reader.assign([from('clicks', 0, 0)])
  // Without its folder LevelDB fails at the next file that it wants to begin.
  await rm(path, { recursive: true })
  await writeFile(path, '')
  const value = Buffer.alloc(4_000_000)
  const kinds: string[] = []
  while (kinds.at(-1) !== 'unknown' && kinds.length < 30) {
    const records = [record('clicks', 0, null, { value })]
    kinds.push((await writer.commit({ records, positions: [] })).kind)
  }
  t.equal(kinds.at(-1), 'unknown')
  const failed = { code: 'LOG_FAILED' }
  // `unknown` while the thread that failed is still on its way out: whoever asks then is told the less.
  t.match(await writer.commit({ records: [], positions: [] }), {
    kind: /^(failed|unknown)$/,
    cause: failed,
  })
  await t.rejects(log.append([record('clicks', 0, 'x')]), failed)
  await t.rejects(reader.next(), failed)
  await close(log)
  t.match(failures, [failed])
  t.equal(failures.length, 1)
})

interface Child {
  readonly process: ChildProcess
  /** The lines that it wrote. */
  readonly lines: () => readonly string[]
  readonly until: (count: number) => Promise<void>
  readonly errors: () => string
}

/** A process that appends and commits as fast as it can and writes what was acknowledged. */
function appender(t: Test, path: string, seed: number): Child {
  const code = `
    import { openEmbeddedLog } from ${JSON.stringify(import.meta.resolve('#host/log/embedded/log.js'))}
    const [path, seed] = process.argv.slice(2)
    const log = await openEmbeddedLog({ path, onFailure: (error) => { throw error } })
    await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 4 }, { name: 'counts', kind: 'table', partitions: 2 }])
    const to = (topic, partition, value) => ({ topic, partition, key: null, timestamp: 1, value: Buffer.from(value) })
    const append = async (lane) => {
      for (let i = 0; ; i++) {
        // Over all partitions, of many sizes: whole or not at all.
        const id = seed + '-' + lane + '-' + i
        const pad = '.'.repeat((i * 37 * seed) % 3000)
        await log.append([0, 1, 2, 3].map((partition) => to('clicks', partition, id + ' ' + pad)), { atomic: true })
        process.stdout.write('append ' + id + '\\n')
      }
    }
    const commit = async (partition) => {
      const writer = await log.openWriter('g', partition)
      for (let done = writer.positions[0]?.offset ?? 0; ; done++) {
        const outcome = await writer.commit({
          records: [to('counts', partition, String(done)), to('clicks', 0, seed + '-c' + partition + '-' + done + ' ')],
          positions: [{ topic: 'clicks', partition, offset: done + 1 }],
        })
        if (outcome.kind !== 'committed') throw outcome.cause
        process.stdout.write('commit ' + partition + ' ' + (done + 1) + '\\n')
      }
    }
    await Promise.all([append(0), append(1), append(2), commit(0), commit(1)])`
  const file = `${path}.mjs`
  writeFileSync(file, code)
  const child = spawn(process.execPath, [file, path, `${seed}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const reader = createInterface(child.stdout)
  reader.on('line', (line) => lines.push(line))
  return {
    process: child,
    lines: () => lines,
    errors: () => errors,
    until: async (count) => {
      while (lines.length < count) {
        await Promise.race([
          once(reader, 'line'),
          once(child, 'exit').then(() => Promise.reject(new Error(errors))),
        ])
      }
    },
  }
}

void t.test('what was acknowledged survives kill -9, whole', { timeout: 200_000 }, async (t) => {
  const path = `${testFolder(t)}/log`
  const acknowledged = new Set<string>()
  const committed = [0, 0]
  for (let seed = 1; seed <= 10; seed++) {
    const child = appender(t, path, seed)
    await child.until(200 + ((seed * 7919) % 800))
    const ended = once(child.process, 'close')
    child.process.kill('SIGKILL')
    await ended
    // A line that the kill has cut was written after its acknowledgement, too; only its end is missing.
    for (const line of child.lines()) {
      const [kind, id = '', offset = ''] = line.split(' ')
      if (kind === 'append') acknowledged.add(id)
      else if (kind === 'commit' && offset !== '') {
        committed[Number(id)] = Math.max(committed[Number(id)] ?? 0, Number(offset))
      }
    }
  }
  const log = await open(t, path)
  const clicks = (await log.describe(['clicks'])).get('clicks')
  const found: string[][] = []
  for (const { partition, stableEnd } of clicks?.partitions ?? []) {
    const records = await take(log, from('clicks', partition, 0), stableEnd)
    t.ok(
      records.every(({ offset }, i) => offset === i),
      'offsets have no holes',
    )
    found.push(values(records).map((value) => value?.split(' ')[0] ?? ''))
  }
  const appended = found.map((ids) => ids.filter((id) => !id.includes('-c')).sort())
  t.same(appended[1], appended[0], 'each batch is in every partition or in none')
  t.same(appended[2], appended[0])
  t.same(appended[3], appended[0])
  t.equal(new Set(appended[0]).size, appended[0]?.length, 'and there once')
  const there = new Set(appended[0])
  t.ok(acknowledged.size > 1000)
  t.same(
    [...acknowledged].filter((id) => !there.has(id)),
    [],
    'every acknowledged append is there',
  )
  for (const partition of [0, 1]) {
    const position = (await log.committed('g')).find((one) => one.partition === partition)
    const offset = position?.offset ?? 0
    t.ok(offset >= (committed[partition] ?? 0), 'no acknowledged commit is lost')
    const counts = values(await take(log, from('counts', partition, 0), offset))
    t.same(
      counts,
      Array.from({ length: offset }, (_, i) => `${i}`),
      'positions agree with the records that were committed with them',
    )
    const copies = found[0]?.filter((id) => id.includes(`-c${partition}-`)) ?? []
    t.equal(copies.length, offset)
  }
})
