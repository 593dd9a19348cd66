// Stacks: what people see is their own code, as they wrote it.

import t from 'tap'
import { loadBundle } from '#host/functions/load.js'
import { codeFrame, mapStack, sourceOf } from '#host/functions/stack.js'
import { createProject } from './project.js'

const source = `import { explode } from '../lib/explode.js'
interface Click {
  page: string
}
export default {
  clicks(click: Click) {
    return explode(click.page)
  },
  own(): never {
    throw new Error('two\\nlines')
  },
  async later() {
    await null
    explode('later')
  },
}
`
const library = `type Unused = string

export function explode(page: string): never {
  const many: Unused = page
  throw new TypeError('cannot handle ' + many)
}
`

async function stackOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof Error) return error.stack ?? ''
  }
  throw new Error('it did not throw')
}

void t.test('frames lead to the lines of the source files, and no others are shown', async (t) => {
  const { bundle, write, path } = createProject(t)
  const lib = await write('lib/explode.ts', library)
  const built = await bundle('click-count.ts', source)
  const { definition } = loadBundle(built)
  const raw = await stackOf(() => Object(definition).clicks({ page: '/' }))
  t.match(raw, 'millrace://click-count@')
  const file = path('functions/click-count.ts')
  for (const bundles of [
    built,
    (version: string) => (version === built.version ? built : undefined),
  ]) {
    const mapped = mapStack(raw, bundles)
    t.equal(
      mapped.stack,
      `TypeError: cannot handle /\n    at explode (${lib}:5:9)\n    at Object.clicks (${file}:7:12)`,
    )
    t.match(mapped, {
      file: lib,
      line: 5,
      column: 9,
      frame: `> 5 |   throw new TypeError('cannot handle ' + many)`,
    })
  }
  const later = mapStack(await stackOf(() => Object(definition).later()), built)
  t.equal(
    later.stack,
    `TypeError: cannot handle later\n    at explode (${lib}:5:9)\n    at async Object.later (${file}:14:5)`.replace(
      'async ',
      later.stack.includes('async') ? 'async ' : '',
    ),
  )
})

void t.test('a message of several lines stays whole', async (t) => {
  const { bundle, write, path } = createProject(t)
  await write('lib/explode.ts', library)
  const built = await bundle('a.ts', source)
  const mapped = mapStack(await stackOf(() => Object(loadBundle(built).definition).own()), built)
  t.equal(mapped.stack, `Error: two\nlines\n    at Object.own (${path('functions/a.ts')}:10:11)`)
})

void t.test('the first frame of the user counts, not that of a package', async (t) => {
  const { bundle, path } = createProject(t)
  const built = await bundle(
    'a.ts',
    `import * as v from 'valibot'\n\nexport default { go: () => v.parse(v.string(), 7) }`,
  )
  const mapped = mapStack(await stackOf(() => Object(loadBundle(built).definition).go()), built)
  t.match(mapped.stack.split('\n')[1], '/node_modules/valibot/', 'yet the package is in the stack')
  t.match(mapped, { file: path('functions/a.ts'), line: 3, column: 30 })
})

void t.test('frames of another version are left as they are', async (t) => {
  const { bundle, write } = createProject(t)
  await write('lib/explode.ts', library)
  const built = await bundle('a.ts', source)
  const raw = await stackOf(() =>
    Object(loadBundle({ ...built, version: 'ffffffffffff' }).definition).own(),
  )
  for (const bundles of [built, () => undefined, () => built]) {
    const mapped = mapStack(raw, bundles)
    t.match(mapped.stack, /at Object\.own \(millrace:\/\/a@ffffffffffff\.js:\d+:\d+\)$/)
    t.equal(mapped.file, undefined)
  }
})

void t.test('a stack without frames of the user is its message', async (t) => {
  const { bundle } = createProject(t)
  const built = await bundle('a.ts', 'export default 1')
  t.strictSame(mapStack(new Error('from the host').stack ?? '', built), {
    stack: 'Error: from the host',
  })
  t.strictSame(mapStack('no stack at all', built), { stack: 'no stack at all' })
})

void t.test('odd characters in a path do no harm', async (t) => {
  const { write, path, bundle } = createProject(t)
  const lib = await write('lib/a b#c?d%20ä/(x).ts', library)
  const built = await bundle(
    'a.ts',
    `import { explode } from '../lib/a b#c?d%20ä/(x).js'\nexport default { explode }`,
  )
  const mapped = mapStack(
    await stackOf(() => Object(loadBundle(built).definition).explode('x')),
    built,
  )
  t.match(mapped, { file: lib, line: 5, column: 9 })
  t.equal(sourceOf(built, lib), library)
  t.equal(sourceOf(built, path('lib/none.ts')), undefined)
})

void t.test('a code frame marks the place without colours', async (t) => {
  t.equal(codeFrame('one\ntwo\nthree', 2, 2), '  1 | one\n> 2 | two\n    |  ^\n  3 | three')
})
