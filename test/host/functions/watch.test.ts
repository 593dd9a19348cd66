// Watching: every way in which files come, change and go, and nothing that did not happen.
import { renameSync, writeFileSync } from 'node:fs'
import { appendFile, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { type FunctionChanges, type WatchOptions, watchFunctions } from '#host/functions/watch.js'
import { createProject } from './project.js'

const none: FunctionChanges = { added: [], changed: [], removed: [] }

async function createWatcher(t: Test, options: Partial<WatchOptions> = {}) {
  const project = createProject(t)
  const a = await project.write('functions/a.ts', 'first')
  const lib = await project.write('lib/x.ts', 'first')
  const seen: FunctionChanges[] = []
  let wake: () => void = () => undefined
  const watcher = await watchFunctions({
    folder: project.path('functions'),
    debounceMs: 5,
    onChange(changes) {
      seen.push(changes)
      wake()
    },
    onError: (error) => t.fail(String(error)),
    ...options,
  })
  t.teardown(() => watcher[Symbol.asyncDispose]())
  /** The next changes that were not taken yet. */
  const next = async (): Promise<FunctionChanges> => {
    while (seen.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return seen.shift() ?? none
  }
  /** All changes up to a state, since one save may be seen in two steps. */
  const until = async (isDone: (all: FunctionChanges[]) => boolean): Promise<FunctionChanges[]> => {
    const all = [await next()]
    while (!isDone(all)) all.push(await next())
    return all
  }
  /** A file comes and goes: had there been anything else to tell, it would have been told by then. */
  const rest = async (): Promise<FunctionChanges[]> => {
    const marker = await project.write('functions/marker.ts', '')
    const all = await until((seen) => seen.some(({ added }) => added.includes(marker)))
    await rm(marker)
    all.push(...(await until((seen) => seen.some(({ removed }) => removed.includes(marker)))))
    return all
      .map(({ added, changed, removed }) => {
        const others = (files: readonly string[]) => files.filter((file) => file !== marker)
        return { added: others(added), changed: others(changed), removed: others(removed) }
      })
      .filter((changes) => Object.values(changes).some((list) => list.length > 0))
  }
  return { ...project, a, lib, watcher, next, rest }
}

void t.test('files come, change and go', async (t) => {
  const { a, path, write, watcher, next, rest } = await createWatcher(t)
  t.same(watcher.files, [a])
  await appendFile(a, 'second')
  t.same(await next(), { ...none, changed: [a] })
  const b = path('functions/b.mjs')
  await write('functions/b.mjs', 'first')
  t.same(await next(), { ...none, added: [b] })
  t.same(watcher.files, [a, b])
  await rm(a)
  t.same(await next(), { ...none, removed: [a] })
  t.same(await rest(), [])
})

void t.test('a renamed file is one that went and one that came', async (t) => {
  const { a, path, next } = await createWatcher(t)
  const b = path('functions/b.ts')
  await rename(a, b)
  t.same(await next(), { ...none, added: [b], removed: [a] })
})

void t.test('what is no function is not told', async (t) => {
  const { write, rest } = await createWatcher(t)
  for (const name of [
    'a.ts~',
    '.a.ts',
    '_a.ts',
    'a.test.ts',
    'a.d.ts',
    'a.json',
    'deep/b.ts',
    '4913',
  ]) {
    await write(`functions/${name}`, '')
  }
  await mkdir((await write('functions/deep/x.json', '')).replace('x.json', 'folder.ts'))
  t.same(await rest(), [])
})

void t.test('editors save in many ways, each is one change', async (t) => {
  const { a, write, path, next, rest } = await createWatcher(t, { debounceMs: 150 })
  const ways: [what: string, save: () => Promise<unknown>][] = [
    ['in place', () => writeFile(a, 'in place')],
    ['a new file over the old', async () => rename(await write('functions/.a.tmp', 'over'), a)],
    [
      'the old one moved away first',
      async () => {
        await rename(a, path('functions/a.ts~'))
        await writeFile(a, 'moved')
      },
    ],
    [
      'deleted and written',
      async () => {
        await rm(a)
        await writeFile(a, 'deleted')
      },
    ],
    [
      'in two pieces',
      async () => {
        await writeFile(a, 'one ')
        await writeFile(a, 'two', { flag: 'a' })
      },
    ],
    [
      'with its old time',
      async () => {
        await writeFile(a, 'timeless')
        await utimes(a, 0, 0)
      },
    ],
  ]
  for (const [what, save] of ways) {
    await save()
    t.same(await next(), { ...none, changed: [a] }, what)
    await writeFile(a, `after: ${what}`)
    t.same(await next(), { ...none, changed: [a] }, `once more after: ${what}`)
  }
  t.same(await rest(), [])
})

void t.test('many files are told at once', async (t) => {
  const { path, next, rest } = await createWatcher(t, { debounceMs: 100 })
  t.same(await rest(), [])
  const files = Array.from({ length: 50 }, (_, n) => path(`functions/f${n + 10}.ts`))
  // Synchronously: no look at the files can begin in between.
  for (const file of files) writeFileSync(file, '')
  t.same(await next(), { ...none, added: files })
})

void t.test('a change of an input is a change of every function that it went into', async (t) => {
  const { a, lib, write, path, watcher, next, rest } = await createWatcher(t)
  const b = await write('functions/b.ts', '')
  t.same(await next(), { ...none, added: [b] })
  const later = path('lib/later.ts')
  watcher.setInputs(a, [a, lib, later])
  watcher.setInputs(b, [b, lib])
  t.same(await rest(), [], 'naming them is no change')
  const steps: [what: string, change: () => Promise<unknown>, changed: string[]][] = [
    ['written', () => appendFile(lib, 'second'), [a, b]],
    ['renamed over', async () => rename(await write('lib/.x', 'third'), lib), [a, b]],
    ['deleted', () => rm(lib), [a, b]],
    ['made anew', () => write('lib/x.ts', 'fourth'), [a, b]],
    ['made, which was missing', () => write('lib/later.ts', ''), [a]],
    ['written again', () => appendFile(later, 'x'), [a]],
  ]
  for (const [what, change, changed] of steps) {
    await change()
    t.same(await next(), { ...none, changed }, what)
  }
  await rm(path('lib'), { recursive: true })
  t.same(await next(), { ...none, changed: [a, b] }, 'their folder deleted')
  await write('lib/x.ts', 'fifth')
  t.same(await next(), { ...none, changed: [a, b] }, 'their folder made anew')
  await appendFile(lib, 'sixth')
  t.same(await next(), { ...none, changed: [a, b] }, 'and written in')
  watcher.setInputs(a, [a])
  watcher.setInputs(b, [])
  await appendFile(lib, 'seventh')
  t.same(await rest(), [], 'no input any more')
})

void t.test('the folder may go and come back, or be replaced', async (t) => {
  const { a, path, write, watcher, next, rest } = await createWatcher(t, { debounceMs: 25 })
  const folder = path('functions')
  await rm(folder, { recursive: true })
  t.same(await next(), { ...none, removed: [a] })
  t.same(watcher.files, [])
  await write('functions/a.ts', 'again')
  t.same(await next(), { ...none, added: [a] })
  await appendFile(a, 'changed')
  t.same(await next(), { ...none, changed: [a] }, 'what comes after is seen')
  await rename(folder, path('elsewhere'))
  t.same(await next(), { ...none, removed: [a] })
  await rename(path('elsewhere'), folder)
  t.same(await next(), { ...none, added: [a] })
  const b = await write('other/b.ts', '').then(() => path('functions/b.ts'))
  renameSync(folder, path('old'))
  renameSync(path('other'), folder)
  t.same(await next(), { ...none, added: [b], removed: [a] }, 'another folder in its place')
  await appendFile(b, 'x')
  t.same(await next(), { ...none, changed: [b] })
  t.same(await rest(), [])
})

void t.test('a folder that is not there yet is waited for', async (t) => {
  const project = createProject(t)
  const seen: FunctionChanges[] = []
  let wake: () => void = () => undefined
  const watcher = await watchFunctions({
    folder: project.path('later'),
    debounceMs: 5,
    onChange: (changes) => {
      seen.push(changes)
      wake()
    },
  })
  t.teardown(() => watcher[Symbol.asyncDispose]())
  t.same(watcher.files, [])
  const added = new Promise<void>((resolve) => (wake = resolve))
  const a = await project.write('later/a.ts', '')
  await added
  t.same(seen, [{ ...none, added: [a] }])
})

void t.test('a linked function is one, too', async (t) => {
  const { lib, path, next } = await createWatcher(t)
  await symlink(lib, path('functions/linked.ts'))
  t.same(await next(), { ...none, added: [path('functions/linked.ts')] })
})

void t.test('after stopping nothing is told', async (t) => {
  const { a, watcher } = await createWatcher(t, { onChange: () => t.fail('told') })
  await appendFile(a, 'second')
  await watcher[Symbol.asyncDispose]()
  await watcher[Symbol.asyncDispose]()
  await appendFile(a, 'third')
  watcher.setInputs(a, [a])
  await new Promise((resolve) => setImmediate(resolve))
  t.pass()
})
