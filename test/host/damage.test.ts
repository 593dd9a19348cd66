// Data folders that are damaged, incomplete, foreign or of another day: what a host makes of each, on the log and store that it ships.
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import t, { type Test } from 'tap'
import { Random } from '#host/log/memory/random.js'
import { testFolder } from '../support/folder.js'
import { HostUnderTest } from '../support/host.js'

const functions = {
  'counter.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { events: json<string>() },
  table: json<{ count: number; pad: string }>(),
  on: {
    events: (ctx, pad) => ctx.set({ count: (ctx.get()?.count ?? 0) + 1, pad }),
  },
})`,
}

const keys = 60
type Table = Map<string, { count: number; pad: string }>
type Root = string

/** Of a host that is stopped: the data after each of the two days, and what the table held. */
interface Days {
  readonly first: { readonly data: string; readonly table: Table }
  readonly second: { readonly data: string; readonly table: Table }
}

const dataOf = (root: Root): string => join(root, '.millrace')

async function host(root: Root): Promise<HostUnderTest> {
  const made = new HostUnderTest(root, { functions, watch: false })
  await made.start()
  return made
}

async function tableOf(running: HostUnderTest): Promise<Table> {
  await running.untilStatus('counter', ({ state, lag }) => state === 'running' && lag === 0)
  const response = await fetch(`${running.host.url}/views/counter`, {
    headers: { accept: 'application/x-ndjson' },
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(text)
  const lines = text.split('\n').filter((line) => line !== '')
  return new Map(lines.map((line) => JSON.parse(line)).map(({ key, value }) => [key, value]))
}

async function emit(running: HostUnderTest, day: number): Promise<void> {
  for (let part = 0; part < 4; part += 1) {
    const lines = Array.from({ length: keys * 2 }, (_, n) => ({
      key: `key-${(n * 7 + day * part) % keys}`,
      value: `${Math.sin(n + day * 1000 + part)}`.repeat(20),
    }))
    await running.emitAll('events', lines)
  }
}

async function makeDays(t: Test): Promise<Days> {
  const root = testFolder(t, { first: {}, second: {}, live: {} })
  const live = join(root, 'live')
  const day = async (number: number, name: string) => {
    let running = await host(live)
    await emit(running, number)
    await tableOf(running)
    await running.stop()
    // Opened once more, the journal becomes a table file.
    running = await host(live)
    await emit(running, number)
    const table = await tableOf(running)
    await running.stop()
    const data = join(root, name, 'data')
    cpSync(dataOf(live), data, { recursive: true })
    return { data, table }
  }
  return { first: await day(1, 'first'), second: await day(2, 'second') }
}

const isDataFile = (name: string): boolean => /^(\d+\.(ldb|log)|MANIFEST-.*|CURRENT)$/.test(name)
const filesOf = (folder: string): string[] => readdirSync(folder).filter(isDataFile).sort()

function flip(file: string, random: Random): string {
  const bytes = readFileSync(file)
  const at = Math.min(random.upTo(bytes.length), bytes.length - 1)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (random.upTo(8) % 8))
  writeFileSync(file, bytes)
  return `${file.split('/').at(-1)} at ${at} of ${bytes.length}`
}

const asideOf = (root: Root): string[] =>
  readdirSync(join(dataOf(root), 'tables')).filter((name) => name.includes('.damaged-'))

t.test('a data folder that is not as it was left', { timeout: 600_000 }, async (t) => {
  const days = await makeDays(t)
  let roots = 0
  const root = (t: Test, parts: { log?: keyof Days; tables?: keyof Days }): Root => {
    roots += 1
    const made = join(t.testdirName, `root-${roots}`)
    mkdirSync(dataOf(made), { recursive: true })
    for (const part of ['log', 'tables'] as const) {
      const from = parts[part]
      if (from === undefined) continue
      cpSync(join(days[from].data, part), join(dataOf(made), part), { recursive: true })
    }
    return made
  }
  const both = { log: 'second', tables: 'second' } as const
  const serves = async (t: Test, at: Root, table: Table, what: string) => {
    const running = await host(at)
    try {
      t.same(await tableOf(running), table, what)
      return running.lines.join('')
    } finally {
      await running.stop()
    }
  }
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)

  await t.test('a flipped bit in the log: refused with the file, or harmless', async (t) => {
    testFolder(t)
    let refused = 0
    const files = filesOf(join(days.second.data, 'log'))
    for (const name of [...files, ...files]) {
      const at = root(t, both)
      const where = flip(join(dataOf(at), 'log', name), random)
      const running = new HostUnderTest(at, { functions, watch: false })
      try {
        await running.start()
        t.same(await tableOf(running), days.second.table, `${where}: harmless`)
      } catch (error) {
        refused += 1
        t.match(error, { code: 'LOG_DAMAGED', message: /Restore|restore/ }, where)
      } finally {
        await running.stop()
      }
    }
    t.ok(refused > 3, `${refused} of ${files.length * 2} refused`)
  })

  await t.test('a flipped bit in the store: set aside and rebuilt, or harmless', async (t) => {
    testFolder(t)
    let rebuilt = 0
    const files = filesOf(join(days.second.data, 'tables', 'counter'))
    for (const name of files) {
      const at = root(t, both)
      const where = flip(join(dataOf(at), 'tables', 'counter', name), random)
      const said = await serves(t, at, days.second.table, where)
      if (asideOf(at).length === 0) continue
      rebuilt += 1
      t.match(said, /was damaged: it was set aside/, where)
    }
    t.ok(rebuilt > 1, `${rebuilt} of ${files.length} rebuilt`)
  })

  await t.test('a file of the log that is gone, cut short or empty: refused', async (t) => {
    testFolder(t)
    for (const name of filesOf(join(days.second.data, 'log'))) {
      for (const harm of ['gone', 'cut', 'empty']) {
        const at = root(t, both)
        const file = join(dataOf(at), 'log', name)
        const { length } = readFileSync(file)
        if (harm === 'gone') rmSync(file)
        else truncateSync(file, harm === 'cut' ? Math.floor(length * 0.7) : 0)
        // It was empty before.
        if (length === 0 && harm !== 'gone') continue
        await t.rejects(host(at), { code: 'LOG_DAMAGED' }, `${name}, ${harm}`)
      }
    }
  })

  await t.test('a file of the store that is gone, cut short or empty: rebuilt', async (t) => {
    testFolder(t)
    for (const name of filesOf(join(days.second.data, 'tables', 'counter'))) {
      for (const harm of name.endsWith('.ldb') ? ['gone'] : ['cut']) {
        const at = root(t, both)
        const file = join(dataOf(at), 'tables', 'counter', name)
        if (harm === 'gone') rmSync(file)
        else truncateSync(file, Math.floor(readFileSync(file).length * 0.7))
        await serves(t, at, days.second.table, `${name}, ${harm}`)
      }
    }
  })

  await t.test('no tables: they are replayed', async (t) => {
    testFolder(t)
    await serves(t, root(t, { log: 'second' }), days.second.table, 'as it was')
  })

  await t.test('tables of the day before: brought up from where they are', async (t) => {
    testFolder(t)
    const at = root(t, { log: 'second', tables: 'first' })
    t.notMatch(await serves(t, at, days.second.table, 'as of the log'), /rebuilt/)
  })

  await t.test(
    'a log of the day before: the tables are those of the log, and say so',
    async (t) => {
      testFolder(t)
      const at = root(t, { log: 'first', tables: 'second' })
      t.match(await serves(t, at, days.first.table, 'as of the log'), /was cut off below/)
    },
  )

  await t.test('all of the day before: goes on from there', async (t) => {
    testFolder(t)
    const at = root(t, { log: 'first', tables: 'first' })
    t.notMatch(await serves(t, at, days.first.table, 'as of that day'), /rebuilt/)
  })

  await t.test('tables, and no log: begins anew, and says so', async (t) => {
    testFolder(t)
    const said = await serves(t, root(t, { tables: 'second' }), new Map(), 'nothing is left')
    t.match(said, /rebuilt from the log: .*another topic than before/)
  })

  await t.test(
    'tables, and the log of another host: what that log says, nothing of the tables',
    async (t) => {
      testFolder(t)
      const at = root(t, { tables: 'second' })
      const other = await host(join(t.testdirName, 'other'))
      await emit(other, 9)
      const table = await tableOf(other)
      await other.stop()
      cpSync(join(dataOf(other.root), 'log'), join(dataOf(at), 'log'), { recursive: true })
      const said = await serves(t, at, table, 'the table of that log')
      t.match(said, /rebuilt from the log: .*another topic than before/)
    },
  )

  await t.test("somebody else's files", async (t) => {
    testFolder(t)
    const foreign = async (path: string) => {
      mkdirSync(path, { recursive: true })
      const db = new ClassicLevel(path)
      await db.put('theirs', 'kept')
      await db.close()
    }
    const asLog = root(t, { tables: 'second' })
    await foreign(join(dataOf(asLog), 'log'))
    await t.rejects(host(asLog), { code: 'DATA_LAYOUT', message: /something else/ })
    const db = new ClassicLevel(join(dataOf(asLog), 'log'))
    t.equal(await db.get('theirs'), 'kept', 'as it was')
    await db.close()
    const asStore = root(t, { log: 'second' })
    await foreign(join(dataOf(asStore), 'tables', 'counter'))
    await serves(t, asStore, days.second.table, 'a foreign database as the store')
    const asText = root(t, { tables: 'second' })
    mkdirSync(join(dataOf(asText), 'log'))
    for (const name of ['CURRENT', 'MANIFEST-000001', '000002.ldb']) {
      writeFileSync(join(dataOf(asText), 'log', name), 'no database\n')
    }
    await t.rejects(host(asText), { code: 'LOG_DAMAGED' })
  })

  await t.test('an older layout: the log is refused, the table rebuilt', async (t) => {
    testFolder(t)
    const older = root(t, both)
    const log = new ClassicLevel<Buffer, Buffer>(join(dataOf(older), 'log'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    })
    await log.put(Buffer.from('\0layout'), Buffer.from('millrace log 1'))
    await log.close()
    await t.rejects(host(older), { code: 'DATA_LAYOUT', message: /'millrace log 1'/ })

    const at = root(t, both)
    const store = new ClassicLevel<Buffer, Buffer>(join(dataOf(at), 'tables', 'counter'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    })
    const meta = Buffer.from('0100000000', 'hex')
    const stored = (await store.get(meta))?.subarray(0, -4).toString() ?? ''
    await store.put(meta, Buffer.from(stored.replace('"layout":2', '"layout":1')))
    await store.close()
    t.match(await serves(t, at, days.second.table, 'as it was'), /has layout 1, this version 2/)
  })
})

for (const [title, isGone] of [
  ['a value that loses its sum while the host runs: 503, then rebuilt', false],
  ['so too when the folder is gone by then, and cannot be set aside', true],
] as const) {
  t.test(title, async (t) => {
    const running = new HostUnderTest(testFolder(t), { functions, watch: false })
    await running.start()
    t.teardown(() => running.stop())
    await emit(running, 1)
    const table = await tableOf(running)
    const path = join(dataOf(running.root), 'tables', 'counter')
    // Through the handle that this process has open: as a disk would, LevelDB itself sees nothing wrong.
    const db = new ClassicLevel<Buffer, Buffer>(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      multithreading: true,
    })
    await db.open()
    for await (const [key, value] of db.iterator({ gte: Buffer.of(3), lt: Buffer.of(4) })) {
      const harmed = Buffer.from(value)
      harmed[2] = (harmed[2] ?? 0) ^ 1
      await db.put(key, harmed)
    }
    await db.close()
    if (isGone) rmSync(path, { recursive: true })
    const answer = await running.get('/views/counter/key-1')
    t.match(answer, { status: 503, body: { error: { code: 'STORE_DAMAGED' } } })
    t.same(await tableOf(running), table)
    t.equal(asideOf(running.root).length, isGone ? 0 : 1)
  })
}
