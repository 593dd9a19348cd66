// A move of the embedded log: whole, exact, and resumable, to a log that fails, forgets to answer and has gaps.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { OwnedLog } from '#host/log/embedded/contents.js'
import type { Log, LogWriter } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog, type MemoryLogOptions } from '#host/log/memory/log.js'
import { readNotes, unfinishedMove } from '#host/move/journal.js'
import { Patience } from '#host/move/patience.js'
import { testFolder } from '../../support/folder.js'
import {
  contentOf,
  fill,
  move,
  moveUntilVerifying,
  sourceLog,
  startedAt,
  tableRecord,
  topics,
} from './moving.js'

const signal = new AbortController().signal

function targetLog(t: Test, options: MemoryLogOptions = {}): MemoryLog {
  const log = createMemoryLog(options)
  t.teardown(() => log[Symbol.asyncDispose]())
  return log
}

const unfinished = async (log: Log) => {
  const patience = new Patience({ patienceMs: 1_000, signal, notice: () => {} })
  return unfinishedMove(await readNotes({ log, readBytes: 100_000, patience, signal }, ''), '')
}

t.test('records, kinds and partitions arrive, and groups go on with the same record', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const expected = await contentOf(source)
  const target = targetLog(t)
  const { result, phases, kept } = await move(source, target)
  t.strictSame(await contentOf(target), expected)
  t.equal(expected['count in clicks/3']?.length, 0, 'one at the end')
  t.equal(expected['count in clicks/2']?.length, 15, 'one in the middle')
  t.strictSame(phases, ['asking', 'reading', 'copying', 'verifying', 'positions', 'keeping'])
  t.strictSame(
    result.topics.map(({ name, kind, partitions, records }) => [name, kind, partitions, records]),
    [
      ['clicks', 'stream', 4, 300],
      ['count-loop', 'stream', 4, 12],
      ['count-table', 'table', 4, 36],
      ['empty', 'stream', 4, 0],
      ['shouts', 'stream', 2, 150],
    ],
  )
  const found = await target.describe(topics)
  for (const topic of result.topics) {
    t.match(found.get(topic.name), { kind: topic.kind })
    t.equal(found.get(topic.name)?.partitions.length, topic.partitions)
    t.match(topic.checksum, /^[0-9a-f]{64}$/)
  }
  t.equal(result.positions, 9)
  t.strictSame(kept, ['clicks 1000', 'count-loop 1000', 'empty 1000', 'shouts 1000'])
  t.strictSame(result.forever, [])
  t.equal(await unfinished(target), undefined)
})

t.test('offsets of the embedded log do not come along in a changelog', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  await move(source, target)
  const names = target.arrivals('count-table').flatMap(({ record }) => record.headers)
  t.strictSame(names, [])
})

for (const seed of [1, 2, 3, 4, 5, 6]) {
  t.test(`to a log with gaps that fails and forgets to answer, seed ${seed}`, async (t) => {
    const source = await sourceLog(t)
    await fill(source, { seed })
    const target = targetLog(t, {
      seed,
      faults: {
        gaps: 0.2,
        markers: 0.8,
        emptyBatches: 0.2,
        openTransactions: 0.1,
        delays: 0.3,
        failed: 0.25,
        unknown: 0.25,
      },
    })
    const { notices } = await move(source, target)
    t.strictSame(await contentOf(target), await contentOf(source))
    t.not(notices.length, 0, 'something had to be tried again')
  })
}

/** From its nth commit on it is gone, as for a process that is killed; `isDone`: with that commit, else before it. */
function dying(log: Log, nth: number, isDone: boolean): Log {
  let commits = 0
  const killed = (): never => {
    throw new Error('killed')
  }
  const bound = (writer: LogWriter): LogWriter => ({
    positions: writer.positions,
    async commit(commit) {
      commits++
      if (commits > nth || (commits === nth && !isDone)) killed()
      const outcome = await writer.commit(commit)
      return commits >= nth ? killed() : outcome
    },
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  })
  return new Proxy(log, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      if (name === 'openWriter') {
        return async (group: string, partition: number) => {
          if (commits >= nth) killed()
          return bound(await target.openWriter(group, partition))
        }
      }
      return found.bind(target)
    },
  })
}

t.test('killed at any commit, a host may not start, and the next run ends it', async (t) => {
  const source = await sourceLog(t)
  await fill(source, { records: 400 })
  const expected = await contentOf(source)
  let nth = 1
  for (let isOver = false; !isOver; nth++) {
    for (const isDone of [false, true]) {
      const target = targetLog(t)
      const killed = await move(source, dying(target, nth, isDone)).then(
        () => false,
        (error: Error) => error.message === 'killed',
      )
      if (!killed) {
        isOver = true
        break
      }
      // Before the first and with the last there is nothing to go on with.
      const { move: noted } = (await notesOf(target)) ?? {}
      if (noted?.state === 'begun') {
        t.match(await unfinished(target), { code: 'MOVE_UNFINISHED' })
        t.match((await unfinished(target))?.message, /run millrace move again/)
      }
      const { result } = await move(source, target)
      if (noted?.state === 'done') t.ok(result.before)
      t.strictSame(await contentOf(target), expected, `killed at commit ${nth}, done: ${isDone}`)
      t.equal(await unfinished(target), undefined)
    }
  }
  t.ok(nth > 20, `${nth} commits`)
})

t.test(
  'killed when streams have got their time, the next run does not miss what went',
  async (t) => {
    const source = await sourceLog(t)
    await fill(source)
    const target = targetLog(t)
    const expire = async () => {
      for (const { topic, partition, offset } of await target.committed('count')) {
        target.trim(topic, partition, offset)
      }
    }
    // Some of it set, and then killed.
    const killed = async () => {
      await expire()
      throw new Error('killed')
    }
    await t.rejects(move(source, target, { keep: killed }), { message: 'killed' })
    t.match(await unfinished(target), { code: 'MOVE_UNFINISHED' })
    const positions = await target.committed('count')
    const { result, kept, phases } = await move(source, target)
    t.ok(result.before)
    t.strictSame(kept, ['clicks 1000', 'count-loop 1000', 'empty 1000', 'shouts 1000'])
    t.strictSame(phases, ['asking', 'keeping'])
    t.strictSame(await target.committed('count'), positions)
    t.equal(await unfinished(target), undefined)
  },
)

t.test('what stays for ever is told by the run that ends the move, too', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  const keep = () => Promise.reject(new Error('killed'))
  await t.rejects(move(source, target, { keep, retentionMs: 1 }), { message: 'killed' })
  const { result } = await move(source, target, { retentionMs: 1 })
  t.strictSame(
    result.forever.map(({ name }) => name),
    ['clicks', 'count-loop', 'shouts'],
  )
})

t.test('positions that are forgotten before the move is done are moved again', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  const keep = () => Promise.reject(new Error('killed'))
  await t.rejects(move(source, target, { keep }), { message: 'killed' })
  const positions = await target.committed('count')
  await target.remove([], { groups: ['count'] })
  const { result } = await move(source, target)
  t.equal(result.before, undefined)
  t.strictSame(await target.committed('count'), positions)
})

t.test('what is added here before the move is done is moved, too', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  const keep = () => Promise.reject(new Error('killed'))
  await t.rejects(move(source, target, { keep }), { message: 'killed' })
  await source.append([tableRecord(0, 'late', 1)])
  const { result } = await move(source, target)
  t.equal(result.before, undefined)
  t.strictSame(await contentOf(target), await contentOf(source))
})

const notesOf = async (log: Log) => {
  const patience = new Patience({ patienceMs: 1_000, signal, notice: () => {} })
  return await readNotes({ log, readBytes: 100_000, patience, signal }, '')
}

t.test('moved again it says when, and writes nothing', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  await move(source, target)
  const count = await target.openWriter('count', 2)
  const position = { topic: 'clicks', partition: 2, offset: 75 }
  await count.commit({ records: [], positions: [position] })
  const { result } = await move(source, target)
  t.equal(result.before, new Date(startedAt).toISOString())
  t.strictSame(
    (await target.committed('count')).filter(
      ({ topic, partition }) => topic === 'clicks' && partition === 2,
    ),
    [position],
  )
  t.equal(target.arrivals('clicks').length, 300)

  await source.append([tableRecord(0, 'late', 1)])
  await t.rejects(move(source, target), {
    code: 'MOVE_CONFLICT',
    message: /has gone on since.*another namespace/s,
  })
})

t.test('what is there already and is not of this move is refused by name', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const cases: [RegExp, (target: MemoryLog) => Promise<unknown>][] = [
    [
      /clicks has records that this move has not brought there/,
      async (target) => {
        await target.ensure([{ name: 'clicks', kind: 'stream', partitions: 4 }])
        await target.append([{ ...tableRecord(1, 'a', 1), topic: 'clicks' }])
      },
    ],
    [
      /the group count has read there already/,
      async (target) => {
        await target.ensure([{ name: 'clicks', kind: 'stream', partitions: 4 }])
        const writer = await target.openWriter('count', 0)
        const positions = [{ topic: 'clicks', partition: 0, offset: 0 }]
        await writer.commit({ records: [], positions })
      },
    ],
    [
      /clicks is a stream of 3 partitions, wanted is a stream of 4/,
      (target) => target.ensure([{ name: 'clicks', kind: 'stream', partitions: 3 }]),
    ],
    [
      /count-table is a stream of 4 partitions, wanted is a table/,
      (target) => target.ensure([{ name: 'count-table', kind: 'stream', partitions: 4 }]),
    ],
    [
      /millrace-move is a stream of somebody's own/,
      (target) => target.ensure([{ name: 'millrace-move', kind: 'stream', partitions: 1 }]),
    ],
  ]
  for (const [message, prepare] of cases) {
    const target = targetLog(t)
    await prepare(target)
    const before = await target.describe([...topics, 'millrace-move'])
    await t.rejects(move(source, target), { message })
    t.strictSame(await target.describe([...topics, 'millrace-move']), before, 'nothing was made')
  }
})

t.test('topics that are there and empty are taken, and keep the time that they have', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  // Offsets without records: somebody's transaction was aborted.
  const target = targetLog(t, { faults: { openTransactions: 1 } })
  await target.ensure([{ name: 'clicks', kind: 'stream', partitions: 4 }])
  const { kept } = await move(source, target)
  t.strictSame(await contentOf(target), await contentOf(source))
  t.strictSame(kept, ['count-loop 1000', 'empty 1000', 'shouts 1000'])
})

/** Ended before the positions are moved. */
async function begun(source: OwnedLog, target: Log): Promise<void> {
  const moving = moveUntilVerifying(source, target)
  await moving.then(
    () => {
      throw new Error('it went on')
    },
    (error: Error) => {
      if (error.message !== 'stopped') throw error
    },
  )
}

t.test('what a host does here in between is moved by the next run', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  await begun(source, target)
  await source.append([{ ...tableRecord(0, 'late', 1), topic: 'clicks' }])
  await source.ensure([{ name: 'shouts-more', kind: 'stream', partitions: 1 }])
  const count = await source.openWriter('count', 2)
  const positions = [{ topic: 'clicks', partition: 2, offset: 71 }]
  await count.commit({ records: [tableRecord(2, 'late', 2)], positions })
  await move(source, target)
  t.strictSame(await contentOf(target), await contentOf(source))
  t.equal((await target.describe(['shouts-more'])).size, 1)
})

t.test('a topic that is another one by now, or gone, is refused', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  await begun(source, target)
  await source.remove(['count-table', 'count-loop'], { groups: ['count'] })
  await source.ensure([{ name: 'count-table', kind: 'table', partitions: 4 }])
  await t.rejects(move(source, target), {
    code: 'MOVE_CONFLICT',
    details: {
      problems: [/^count-table was begun with as another one/, /^count-loop .* no more/],
    },
  })
  await target.remove(['count-table', 'count-loop'])
  await move(source, target)
  t.equal(target.arrivals('count-table').length, 0)
})

t.test(
  'a topic whose marks have expired is refused, and copied anew when it is deleted',
  async (t) => {
    const source = await sourceLog(t)
    await fill(source)
    const target = targetLog(t)
    await begun(source, target)
    await target.remove([], { groups: ['millrace-move~'] })
    await t.rejects(move(source, target), {
      code: 'MOVE_CONFLICT',
      message: /clicks has records, and how far it is copied is not known any more/,
    })
    await target.remove(topics)
    await move(source, target)
    t.strictSame(await contentOf(target), await contentOf(source))
  },
)

t.test(
  'what is otherwise when it is read back is told, and copied anew when it is deleted',
  async (t) => {
    const source = await sourceLog(t)
    await fill(source)
    const target = targetLog(t)
    await begun(source, target)
    await target.append([{ ...tableRecord(1, 'foreign', 1), topic: 'clicks' }])
    target.trim('shouts', 0, 3)
    await target.append([tableRecord(3, 'alice', 9)])
    await t.rejects(move(source, target), {
      code: 'MOVE_DIFFERS',
      details: {
        problems: [
          'clicks/1: 75 records are here and 76 there',
          'count-table/3: 9 records are here and 10 there',
          'shouts/0: 75 records are here and 72 there',
        ],
      },
    })
    t.strictSame(await target.committed('count'), [], 'no function could go on')
    await target.remove(['clicks', 'count-table', 'shouts'])
    await move(source, target)
    t.strictSame(await contentOf(target), await contentOf(source))
  },
)

t.test('a second move at the same time fences the first', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  let second: Promise<unknown> = Promise.resolve()
  const further = { topic: 'clicks', partition: 2, offset: 75 }
  /** As a host does that is started when the second says that it is done. */
  const goOn = async () => {
    const writer = await target.openWriter('count', 2)
    t.equal((await writer.commit({ records: [], positions: [further] })).kind, 'committed')
  }
  const events = {
    phase: (phase: string) => {
      if (phase === 'verifying') second = move(source, target).then(goOn)
    },
    moved: () => {},
    verified: () => {},
  }
  // It looks there again only when the second is done.
  const slow = new Proxy(target, {
    get(log, name) {
      if (name === 'describe') {
        return async (names: readonly string[]) => {
          await second
          return await log.describe(names)
        }
      }
      const found: unknown = Reflect.get(log, name, log)
      return typeof found === 'function' ? found.bind(log) : found
    },
  })
  const first = move(source, slow, { events })
  await t.rejects(first, { code: 'FENCED', message: /another move/ })
  await second
  const positions = await target.committed('count')
  t.strictSame(
    positions.filter(({ topic, partition }) => topic === 'clicks' && partition === 2),
    [further],
  )
})

t.test('a host that runs there already is noticed before anything is made', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  const members = async (groups: readonly string[]) =>
    new Map(groups.map((group) => [group, group === 'count' ? ['millrace at 10.0.0.7'] : []]))
  await t.rejects(move(source, target, { members }), {
    code: 'MOVE_CONFLICT',
    message: /stop them.*\n {2}- count: millrace at 10\.0\.0\.7$/s,
    details: { groups: ['count'] },
  })
  t.equal((await target.describe([...topics, 'millrace-move'])).size, 0)
})

t.test('one that comes while all is copied is noticed before positions are moved', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const target = targetLog(t)
  let isThere = false
  const members = async (groups: readonly string[]) =>
    new Map(groups.map((group) => [group, isThere ? ['millrace at 10.0.0.7'] : []]))
  const phase = (name: string) => {
    if (name === 'verifying') isThere = true
  }
  const events = { phase, moved: () => {}, verified: () => {} }
  await t.rejects(move(source, target, { members, events }), { code: 'MOVE_CONFLICT' })
  t.same(await target.committed('count'), [])
  const { result } = await move(source, target)
  t.equal(result.positions, 9)
})

t.test('streams that have old records to be read stay for ever', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const { result, kept } = await move(source, targetLog(t), { retentionMs: 1 })
  t.strictSame(
    result.forever.map(({ name }) => name),
    ['clicks', 'count-loop', 'shouts'],
  )
  t.strictSame(kept, ['empty 1'])
})

t.test('a group that is to read what has expired is refused before anything is made', async (t) => {
  const source = await sourceLog(t)
  await fill(source)
  const contents = source.committed.bind(source)
  const lagging: OwnedLog = new Proxy(source, {
    get(log, name) {
      if (name === 'committed') return contents
      if (name === 'describe') {
        return async (names: readonly string[]) =>
          new Map(
            [...(await log.describe(names))].map(([name, info]) => [
              name,
              {
                ...info,
                partitions: info.partitions.map((one) => ({
                  ...one,
                  oldest: name === 'clicks' ? 25 : 0,
                })),
              },
            ]),
          )
      }
      const found: unknown = Reflect.get(log, name, log)
      return typeof found === 'function' ? found.bind(log) : found
    },
  })
  const target = targetLog(t)
  await t.rejects(move(lagging, target), { code: 'INPUT_LOST', message: /millrace reset/ })
  t.equal((await target.describe([...topics, 'millrace-move'])).size, 0)
})

t.test('marks that another log has left are not taken for its own', async (t) => {
  const folder = testFolder(t)
  const source = await sourceLog(t, join(folder, 'one'))
  await fill(source)
  const target = targetLog(t)
  await move(source, target)
  await target.remove(['millrace-move'])
  const other = await sourceLog(t, join(folder, 'other'))
  await fill(other, { seed: 2 })
  await t.rejects(move(other, target), {
    code: 'MOVE_CONFLICT',
    message: /clicks has records that this move has not brought there/,
  })
})
t.end()
