// The store on disk: the conformance suite, threads, deaths of the process, and damage.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import { ClassicLevel } from 'classic-level'
import t, { type Test } from 'tap'
import { openLevelStore } from '#host/tables/level.js'
import { testFolder } from '../../support/folder.js'
import { all, metaAt, put, shown, storeConformance } from './conformance.js'

const module = import.meta.resolve('#host/tables/level.js')

storeConformance(t, 'level', (t) => {
  const path = join(testFolder(t), 'a', 'store')
  return { open: () => openLevelStore({ path }) }
})

/** Runs a module's text in a process that the test may kill; `argv` has the store's module and its path. */
function child(t: Test, path: string, script: string): ChildProcess & { stdout: object } {
  const started = spawn(process.execPath, ['--input-type=module', '-e', script, module, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => started.kill('SIGKILL'))
  return started
}

t.test('after a kill -9 each partition has whole writes, and all that were settled', async (t) => {
  const script = `
    import { writeSync } from 'node:fs'
    const [, module, path] = process.argv
    const { openLevelStore } = await import(module)
    const store = await openLevelStore({ path, writeBufferBytes: 256 * 1024 })
    const meta = (next) => ({ layout: 2, changelog: { topic: 't', topicId: 'i', leaderEpoch: 1, next }, appliedAt: 1, inputs: [] })
    await Promise.all([0, 1, 2].map(async (partition) => {
      for (let n = 1; ; n += 1) {
        const changes = Array.from({ length: 40 }, (_, k) => [Buffer.from('key-' + k), Buffer.from(String(n).padStart(400 * (1 + k % 3), '0'))])
        await store.partition(partition).write(changes, meta(n))
        writeSync(1, partition + ' ' + n + '\\n')
      }
    }))`
  for (let seed = 0; seed < 10; seed += 1) {
    const path = join(testFolder(t), `store-${seed}`)
    const writer = child(t, path, script)
    const settled = [0, 0, 0]
    let lines = 0
    // Lines that were written before the death are still read after it.
    for await (const line of createInterface({ input: writer.stdout })) {
      const [partition = 0, n = 0] = line.split(' ').map(Number)
      settled[partition] = n
      lines += 1
      if (lines === 20 + seed * 37) writer.kill('SIGKILL')
    }
    await using store = await openLevelStore({ path })
    for (const [partition, atLeast] of settled.entries()) {
      const next = store.partition(partition).meta()?.changelog.next ?? 0
      t.ok(next >= atLeast, `seed ${seed}: ${next} is there, ${atLeast} was settled`)
      const values = (await all(store.partition(partition).range())).map(({ value }) => value)
      t.same(new Set(values.map(Number)), new Set(next === 0 ? [] : [next]), 'nothing is torn')
    }
  }
})

t.test('a wipe that a kill -9 interrupted leaves no meta, and the next one ends it', async (t) => {
  const path = join(testFolder(t), 'store')
  {
    await using store = await openLevelStore({ path })
    const changes = Array.from({ length: 200_000 }, (_, n) => put(`key-${n}`, 'value'))
    await store.partition(1).write(changes, metaAt(1))
    await store.partition(2).write([put('a', '1')], metaAt(1))
  }
  const wiper = child(
    t,
    path,
    `
    const [, module, path] = process.argv
    const { openLevelStore } = await import(module)
    const store = await openLevelStore({ path })
    void store.partition(1).wipe()
    const look = () => store.partition(1).meta() === undefined ? process.kill(process.pid, 'SIGKILL') : setImmediate(look)
    look()`,
  )
  const [, signal] = await once(wiper, 'exit')
  t.equal(signal, 'SIGKILL')
  await using store = await openLevelStore({ path })
  const partition = store.partition(1)
  t.ok((await all(partition.range())).length > 0, 'it was interrupted')
  t.equal(partition.meta(), undefined)
  await partition.write([put('b', '1')], metaAt(2))
  t.equal(partition.meta(), undefined, 'a write does not end it')
  await partition.wipe()
  t.same(await all(partition.range()), [])
  await partition.write([put('b', '1')], metaAt(2))
  t.same(partition.meta(), metaAt(2))
  t.same(shown(await all(store.partition(2).range())), ['a=1'])
})

t.test('the main thread reads what a worker wrote as soon as its write has settled', async (t) => {
  const path = join(testFolder(t), 'store')
  await using store = await openLevelStore({ path })
  const worker = new Worker(
    `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(async ({ openLevelStore }) => {
      const store = await openLevelStore({ path: workerData.path })
      for (let n = 1; n <= 500; n += 1) {
        const value = Buffer.from(String(n))
        await store.partition(n % 4).write([[Buffer.from('last'), value], [Buffer.from('k' + n), value]], { ...workerData.meta, appliedAt: n })
        parentPort.postMessage(n)
      }
      await store[Symbol.asyncDispose]()
    })`,
    // The worker names the same folder in another way.
    { eval: true, workerData: { module, path: relative(process.cwd(), path), meta: metaAt(1) } },
  )
  let wrong = 0
  let last = 0
  worker.on('message', (n: number) => {
    last = n
    const partition = store.partition(n % 4)
    const seen = Number(partition.get(Buffer.from('last')))
    const own = Number(partition.get(Buffer.from(`k${n}`)))
    if (seen < n || own !== n || (partition.meta()?.appliedAt ?? 0) < n) wrong += 1
  })
  const [code] = await once(worker, 'exit')
  t.equal(code, 0)
  t.equal(last, 500)
  t.equal(wrong, 0)
  await store.partition(0).write([put('after', 'worker')], metaAt(2))
  t.same(store.partition(0).get(Buffer.from('after')), Buffer.from('worker'))
})

t.test('leaving a range early gives its snapshot back', async (t) => {
  await using store = await openLevelStore({ path: join(testFolder(t), 'store') })
  const changes = Array.from({ length: 3000 }, (_, n) => put(String(n), 'x'))
  await store.partition(0).write(changes, metaAt(1))
  const made = t.capture(ClassicLevel.prototype, 'iterator', ClassicLevel.prototype.iterator)
  for await (const page of store.partition(0).range()) {
    t.ok(page.length < 100, 'the first page is small')
    break
  }
  const never = store.partition(0).range()[Symbol.asyncIterator]()
  await never.return?.()
  await all(store.partition(0).range())
  const calls = made()
  t.equal(calls.length, 3)
  for (const call of calls) {
    const iterator: unknown = 'returned' in call ? call.returned : undefined
    t.ok(iterator)
    await t.rejects((iterator as { next(): Promise<unknown> }).next(), {
      code: 'LEVEL_ITERATOR_NOT_OPEN',
    })
  }
})

t.test('a store that can not be read is refused with its path and what to do', async (t) => {
  const written = async (name: string) => {
    const path = join(testFolder(t), name)
    const store = await openLevelStore({ path, writeBufferBytes: 64 * 1024 })
    const noise = Array.from({ length: 2000 }, (_, n) =>
      put(`${n}`, Math.sin(n).toString().repeat(9)),
    )
    for (let n = 0; n < 4; n += 1) await store.partition(n).write(noise, metaAt(1))
    await store[Symbol.asyncDispose]()
    return { path, files: await readdir(path) }
  }
  const damaged = (path: string) => ({
    code: 'STORE_DAMAGED',
    message: `the store ${path} is damaged: it is set aside, and the table is rebuilt from the log`,
  })
  await t.test('a manifest of other bytes', async (t) => {
    const { path, files } = await written('manifest')
    const manifest = files.find((file) => file.startsWith('MANIFEST')) ?? ''
    await writeFile(join(path, manifest), Buffer.alloc(4096, 'damage'))
    await t.rejects(openLevelStore({ path }), damaged(path))
  })
  for (const [title, bytes] of [
    ['names another file', 'MANIFEST-000000\n'],
    ['has other bytes', 'damage\n'.repeat(100)],
    ['is empty', ''],
  ] as const) {
    await t.test(`a CURRENT that ${title}`, async (t) => {
      const { path } = await written(`current-${title.replaceAll(' ', '-')}`)
      await writeFile(join(path, 'CURRENT'), bytes)
      await t.rejects(openLevelStore({ path }), damaged(path))
    })
  }
  await t.test('a table file that is gone', async (t) => {
    const { path, files } = await written('missing')
    await rm(join(path, files.find((file) => file.endsWith('.ldb')) ?? ''))
    await t.rejects(openLevelStore({ path }), damaged(path))
  })
  const harms = {
    'table files with other bytes': (bytes: Buffer) => bytes.fill('damage', 0, bytes.length >> 1),
    'table files that were cut short': (bytes: Buffer) => bytes.subarray(bytes.length >> 1),
  }
  for (const [title, harm] of Object.entries(harms)) {
    await t.test(`${title}, at the first read`, async (t) => {
      const { path, files } = await written(title.replaceAll(' ', '-'))
      for (const file of files.filter((name) => name.endsWith('.ldb'))) {
        await writeFile(join(path, file), harm(await readFile(join(path, file))))
      }
      await using store = await openLevelStore({ path })
      t.throws(() => store.partition(0).get(Buffer.from('1')), damaged(path))
      await t.rejects(all(store.partition(0).range()), damaged(path))
    })
  }
  await t.test('a meta that is no JSON', async (t) => {
    const { path } = await written('meta')
    const db = new ClassicLevel<Buffer, Buffer>(path, { keyEncoding: 'buffer' })
    await db.put(Buffer.from('0100000000', 'hex'), Buffer.from('{'))
    await db.close()
    await using store = await openLevelStore({ path })
    t.throws(() => store.partition(0).meta(), damaged(path))
  })
})

t.test(
  'a value that is not as it was stored is refused, under its key and in a range',
  async (t) => {
    const path = join(testFolder(t), 'store')
    const value = Buffer.from('0123456789')
    {
      await using store = await openLevelStore({ path })
      await store.partition(1).write([[Buffer.from('a'), value], put('b', '1')], metaAt(1))
    }
    const key = (name: string) =>
      Buffer.concat([Buffer.from('0300000001', 'hex'), Buffer.from(name)])
    const db = new ClassicLevel<Buffer, Buffer>(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    })
    const sound = (await db.get(key('a'))) ?? Buffer.alloc(0)
    const refused = { code: 'STORE_DAMAGED', cause: { message: /checksum/ } }
    const changes: [string, Buffer][] = [['b', sound]]
    for (let at = 0; at < sound.length; at += 1) {
      const flipped = Buffer.from(sound)
      flipped[at] = (flipped[at] ?? 0) ^ 0x10
      changes.push(['a', flipped])
    }
    changes.push(['a', sound.subarray(0, 3)], ['a', Buffer.alloc(0)])
    await db.close()
    for (const [name, bytes] of changes) {
      const harmed = new ClassicLevel<Buffer, Buffer>(path, {
        keyEncoding: 'buffer',
        valueEncoding: 'buffer',
      })
      await harmed.put(key(name), bytes)
      await harmed.close()
      await using store = await openLevelStore({ path })
      t.throws(() => store.partition(1).get(Buffer.from(name)), refused)
      await t.rejects(all(store.partition(1).range()), refused)
    }
  },
)

t.test('what a host without checksums has stored is known by its layout', async (t) => {
  const path = join(testFolder(t), 'store')
  const older = { ...metaAt(7), layout: 1 }
  const db = new ClassicLevel<Buffer, string>(path, { keyEncoding: 'buffer' })
  await db.put(Buffer.from('0100000000', 'hex'), JSON.stringify(older))
  await db.put(Buffer.from('0100000001', 'hex'), JSON.stringify({ ...older, layout: 2 }))
  await db.close()
  await using store = await openLevelStore({ path })
  t.same(store.partition(0).meta(), older)
  t.throws(() => store.partition(1).meta(), { code: 'STORE_DAMAGED' })
})

t.test('after a write that failed a store takes none, until it is opened anew', async (t) => {
  const path = join(testFolder(t), 'store')
  const batch = ClassicLevel.prototype.batch
  let failures = 0
  t.intercept(ClassicLevel.prototype, 'batch', {
    value(this: object, ...given: []) {
      const made: { write(): Promise<void> } = Reflect.apply(batch, this, given)
      if (failures === 0) return made
      failures -= 1
      made.write = () => Promise.reject(new Error('No space left on device'))
      return made
    },
  })
  {
    await using store = await openLevelStore({ path })
    await store.partition(0).write([put('a', '1')], metaAt(1))
    failures = 1
    const settled = await Promise.allSettled(
      [0, 1, 0].map((n) => store.partition(n).write([put('a', '2')], metaAt(2))),
    )
    const refused = { code: 'STORE_FAILED', message: /No space left on device/ }
    for (const one of settled) t.match(one, { status: 'rejected', reason: refused })
    t.equal(String(store.partition(0).get(Buffer.from('a'))), '1', 'it can be read')
  }
  await using store = await openLevelStore({ path })
  await store.partition(1).write([put('a', '3')], metaAt(3))
  t.same(store.partition(0).meta(), metaAt(1))
  t.equal(String(store.partition(1).get(Buffer.from('a'))), '3')
})

t.test('a folder that can not be used is refused with STORE_FAILED', async (t) => {
  const folder = testFolder(t, { file: 'no folder' })
  await t.rejects(openLevelStore({ path: join(folder, 'file', 'store') }), {
    code: 'STORE_FAILED',
    message: /could not be opened: .*permissions/,
  })
  const path = join(folder, 'store')
  const holder = child(
    t,
    path,
    `
    const [, module, path] = process.argv
    const { openLevelStore } = await import(module)
    await openLevelStore({ path })
    console.log('open')
    setInterval(() => {}, 1000)`,
  )
  await once(createInterface({ input: holder.stdout }), 'line')
  await t.rejects(openLevelStore({ path }), { code: 'STORE_FAILED', message: /another process/ })
})

t.test('a partition is a whole number that is not negative', async (t) => {
  await using store = await openLevelStore({ path: join(testFolder(t), 'store') })
  for (const wrong of [-1, 1.5, Number.NaN, 2 ** 31]) {
    t.throws(() => store.partition(wrong), {
      name: 'TypeError',
      message: /partition is an integer/,
    })
  }
})
