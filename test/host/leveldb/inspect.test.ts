// The look over a database's files: what was changed is found wherever it lies, and what a death or a full disk tore is not called so.
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import t, { type Test } from 'tap'
import { inspectDatabase } from '#host/leveldb/inspect.js'
import { Random } from '#host/log/memory/random.js'
import { testFolder } from '../../support/folder.js'

const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
const random = new Random(seed)
t.comment(`MILLRACE_TEST_SEED=${seed}`)

/** A closed database with table files and a journal. */
async function database(t: Test): Promise<string> {
  const path = join(testFolder(t), 'database')
  const open = async () => {
    const db = new ClassicLevel<Buffer, Buffer>(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      writeBufferSize: 256 * 1024,
    })
    await db.open()
    return db
  }
  const first = await open()
  for (let round = 0; round < 30; round += 1) {
    const batch = first.batch()
    for (let n = 0; n < 400; n += 1) {
      const text = `${Math.sin(n * round)}`.repeat(1 + (n % 9))
      batch.put(Buffer.from(`key-${(n * 7919 + round) % 3000}`), Buffer.from(text))
    }
    await batch.write()
  }
  await first.close()
  const second = await open()
  await second.put(Buffer.from('last'), Buffer.alloc(70_000, 'of several parts'))
  await second.put(Buffer.from('last'), Buffer.from('one'))
  await second.close()
  return path
}

/** Those that belong to it; LevelDB leaves others until it is opened again. */
async function live(path: string): Promise<string[]> {
  const files: string[] = []
  for (const name of readdirSync(path).filter((file) => /^(\d+\.|MANIFEST)/.test(file))) {
    const away = `${path}-without`
    cpSync(path, away, { recursive: true })
    rmSync(join(away, name))
    const found = await inspectDatabase(away)
    rmSync(away, { recursive: true })
    if (found !== undefined || name.endsWith('.log') || name.startsWith('MANIFEST'))
      files.push(name)
  }
  return files
}

t.test('a flipped bit is found in every file, and the file is named', async (t) => {
  const path = await database(t)
  t.equal(await inspectDatabase(path, { isClosed: true }), undefined)
  const files = await live(path)
  t.ok(files.some((name) => name.endsWith('.ldb')))
  for (const name of files) {
    const sound = readFileSync(join(path, name))
    const places = [
      0,
      sound.length - 1,
      ...Array.from({ length: 12 }, () => random.upTo(sound.length)),
    ]
    for (const place of places) {
      const at = Math.min(place, sound.length - 1)
      const harmed = Buffer.from(sound)
      harmed[at] = (harmed[at] ?? 0) ^ (1 << (random.upTo(8) % 8))
      writeFileSync(join(path, name), harmed)
      const found = await inspectDatabase(path, { isClosed: true })
      // The padding of a footer is nobody's.
      const isPadding = found === undefined && name.endsWith('.ldb') && at >= sound.length - 48
      if (!isPadding) t.equal(found?.file, name, `${name} at ${at} of ${sound.length}`)
    }
    writeFileSync(join(path, name), sound)
  }
})

t.test(
  'a file that is cut short or gone is found, a torn end of the journal only when it was closed',
  async (t) => {
    const path = await database(t)
    for (const name of await live(path)) {
      const sound = readFileSync(join(path, name))
      const length = Math.max(0, sound.length - 1 - random.upTo(Math.min(200, sound.length - 1)))
      truncateSync(join(path, name), length)
      const closed = await inspectDatabase(path, { isClosed: true })
      const open = await inspectDatabase(path)
      if (name.endsWith('.ldb')) t.match([closed, open], [{ file: name }, { file: name }])
      else if (name.endsWith('.log') && length > 0) {
        t.equal(closed?.file, name, `cut to ${length} of ${sound.length}`)
        t.equal(open, undefined, 'as a process that died leaves it')
      }
      writeFileSync(join(path, name), sound)
    }
    rmSync(join(path, 'CURRENT'))
    t.match(await inspectDatabase(path), { file: 'CURRENT', problem: 'it is gone' })
    rmSync(path, { recursive: true })
    t.equal(await inspectDatabase(path), undefined, 'there is none')
  },
)

t.test('what was torn has nothing sound behind it', async (t) => {
  const path = await database(t)
  const [journal = ''] = readdirSync(path).filter((name) => name.endsWith('.log'))
  const bytes = readFileSync(join(path, journal))
  // The length of the first of the parts: it would reach beyond the end.
  const lastBlock = Math.floor((bytes.length - 1) / 32_768) * 32_768
  bytes.writeUInt16LE(0xffff, lastBlock + 4)
  writeFileSync(join(path, journal), bytes)
  t.match(await inspectDatabase(path), { file: journal, problem: /damaged/ })
})
