// Bundling: function files become one piece of code, and what does not build says where.
import { rename, writeFile } from 'node:fs/promises'
import t from 'tap'
import { bundleFunction, functionName, isFunctionFile } from '#host/functions/bundle.js'
import { loadBundle } from '#host/functions/load.js'
import { createProject, rejection } from './project.js'

const definition = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({ inputs: { clicks: json() }, on: { clicks() {} } })
`

void t.test('the name of a function is the base name of its file', async (t) => {
  for (const ending of ['.ts', '.mts', '.js', '.mjs']) {
    t.equal(functionName(`/a/functions/click-count${ending}`), 'click-count')
    t.equal(isFunctionFile(`/a/functions/click-count${ending}`), true)
  }
  const better: [file: string, name: string][] = [
    ['ClickCount.ts', 'click-count.ts'],
    ['click_count.mjs', 'click-count.mjs'],
    ['2nd-count.ts', 'nd-count.ts'],
    ['a.b.ts', 'a-b.ts'],
    ['%.ts', 'click-count.ts'],
  ]
  for (const [file, name] of better) {
    t.throws(() => functionName(`/a/${file}`), {
      code: 'BAD_FUNCTION_NAME',
      message: `call it ${name}`,
    })
  }
})

void t.test('declarations, tests, hidden files and other things are no functions', async (t) => {
  const others = [
    'a.d.ts',
    'a.d.mts',
    'a.test.ts',
    'a.spec.js',
    '.a.ts',
    '_a.ts',
    'a.json',
    'a.ts~',
    'a.tsx',
    'a',
    'a.ts.swp',
  ]
  for (const file of others) t.equal(isFunctionFile(`/a/${file}`), false, file)
})

void t.test(
  'a package with native code is loaded from where it lies, and others are not',
  async (t) => {
    const { bundle, path, write } = createProject(t)
    const file = (name: string, text: string) => write(`node_modules/${name}`, text)
    await file('plain/package.json', '{"name":"plain","main":"index.js"}')
    await file('plain/index.js', `exports.pack = require('inner')`)
    await file(
      'plain/node_modules/inner/package.json',
      '{"name":"inner","dependencies":{"bindings":"1"}}',
    )
    await file('plain/node_modules/inner/index.js', 'exports.dir = __dirname')
    await file('@own/binary/package.json', '{"name":"@own/binary"}')
    await file('@own/binary/binding.gyp', '{}')
    await file('@own/binary/index.js', 'exports.dir = __dirname')
    const built = await bundle(
      'native.ts',
      `import { ClassicLevel } from 'classic-level'
import { pack } from 'plain'
import { dir } from '@own/binary'
export default { isThere: typeof ClassicLevel, inner: pack.dir, dir }`,
    )
    t.notMatch(built.code, /class ClassicLevel/)
    t.same(loadBundle(built).definition, {
      isThere: 'function',
      inner: path('node_modules/plain/node_modules/inner'),
      dir: path('node_modules/@own/binary'),
    })
    t.ok(built.inputs.includes(path('node_modules/plain/index.js')), 'this one is in the bundle')
  },
)

void t.test('a file with all that it imports becomes one piece of code', async (t) => {
  const { bundle, write, path, root } = createProject(t)
  await write('lib/pages.ts', `export const home: string = 'the home page'`)
  const built = await bundle(
    'click-count.ts',
    `import { home } from '../lib/pages.js'\nimport fs from 'fs'\nconsole.log(home, fs)${definition}`,
  )
  t.match(built, {
    name: 'click-count',
    file: path('functions/click-count.ts'),
    version: /^[0-9a-f]{12}$/,
  })
  t.same([...built.inputs].sort(), [path('functions/click-count.ts'), path('lib/pages.ts')].sort())
  t.match(built.code, 'the home page')
  t.match(built.code, 'require("millrace")')
  t.notMatch(built.code, 'JsonSyntaxError', 'the SDK is not part of it')
  t.notMatch(built.code, root, 'it does not depend on where it lies')
})

void t.test('an npm package is bundled in, its files are inputs', async (t) => {
  const { bundle } = createProject(t)
  const built = await bundle(
    'a.ts',
    `import * as v from 'valibot'\nconsole.log(v.parse(v.string(), 'x'))${definition}`,
  )
  t.notMatch(built.code, 'require("valibot")')
  t.ok(built.inputs.some((input) => input.includes('/node_modules/valibot/')))
})

void t.test('the version follows the code and nothing else', async (t) => {
  const { bundle } = createProject(t)
  const one = await bundle('a.ts', definition)
  t.equal((await bundle('a.ts', `// only a comment${definition}`)).version, one.version)
  t.not((await bundle('a.ts', `${definition}console.log(1)`)).version, one.version)
})

void t.test('every kind of file is taken', async (t) => {
  const { bundle } = createProject(t)
  for (const ending of ['ts', 'mts', 'js', 'mjs'])
    t.ok((await bundle(`a.${ending}`, definition)).code)
})

const broken: [what: string, text: string, at: [line: number, column: number], message: RegExp][] =
  [
    ['a syntax error', `export default {\n  ä: "ö", x y\n}`, [2, 13], /Expected/],
    [
      'a missing package',
      `\nimport x from '@scope/none/deep'\nexport default x`,
      [2, 15],
      /npm install @scope\/none$/,
    ],
    ['a missing file', `import x from './none'\nexport default x`, [1, 15], /no file "\.\/none"/],
    ['a missing export', `import { x } from '../lib/pages.js'\nexport default x`, [1, 10], /"x"/],
    [
      'a top-level await',
      `\nconst x = await fetch('')\nexport default x`,
      [2, 11],
      /await inside a handler/,
    ],
    ['import.meta', `export default import.meta.url`, [1, 16], /__filename or __dirname/],
  ]
for (const [what, text, [line, column], message] of broken) {
  void t.test(`${what} is refused with file, line, column and a code frame`, async (t) => {
    const { bundle, write, path } = createProject(t)
    await write('lib/pages.ts', 'export const home = 1')
    const error = await rejection(() => bundle('click-count.ts', text))
    const file = path('functions/click-count.ts')
    t.match(error, {
      code: 'BUILD_FAILED',
      function: 'click-count',
      message: `functions/click-count.ts:${line}:${column}: `,
    })
    t.match(error.message, message)
    t.match(error.details, { file, line, column, problems: [{ file, line, column, message }] })
    t.match(error.details, { frame: `> ${line} | ${text.split('\n')[line - 1]}` })
  })
}

void t.test(
  'all problems are told, of imported files too, with every file that may mend them',
  async (t) => {
    const { bundle, write, path } = createProject(t)
    await write('lib/bad.ts', 'export const a: = 1')
    await write('lib/good.ts', 'export const b = 1')
    const error = await rejection(() =>
      bundle(
        'a.ts',
        `import '../lib/bad.js'\nimport { b } from '../lib/good.js'\nimport { c } from '../lib/later'\nconsole.log(b, c)`,
      ),
    )
    t.match(error.message, /\(and 1 more\)/)
    t.match(error.details, { problems: [{}, {}] })
    const inputs = error.details && Object(error.details).inputs
    for (const file of ['functions/a.ts', 'lib/bad.ts', 'lib/good.ts', 'lib/later.ts']) {
      t.ok(inputs.includes(path(file)), file)
    }
  },
)

void t.test('a file that is gone is named', async (t) => {
  const { root, path } = createProject(t)
  const error = await rejection(() =>
    bundleFunction({ file: path('functions/no.ts'), name: 'no', root }),
  )
  t.match(error, { code: 'BUILD_FAILED', message: /there is no file .*functions\/no\.ts/ })
  t.match(error.details, { file: path('functions/no.ts'), inputs: [path('functions/no.ts')] })
})

void t.test(
  'what is built is what lies there, however often it is written meanwhile',
  async (t) => {
    const { root, write, path } = createProject(t)
    const file = await write('functions/a.ts', `export default 'version 0'`)
    await write('lib/big.ts', `import * as z from 'zod'\nexport const keep = z`)
    for (let n = 1; n <= 10; n++) {
      let isLate = false
      const built = bundleFunction({ file, name: 'a', root }).then((bundle) => {
        isLate = true
        return bundle
      })
      // While esbuild reads: once in place, once by a rename, which keeps the old time of change of the content.
      const text = `import { keep } from '../lib/big.js'\nexport default ['version ${n}', keep.string]`
      if (n % 2 === 0) await writeFile(file, text)
      else await rename(await write('functions/.a.tmp', text), path('functions/a.ts'))
      // On a slow disk the write may come after the build: then the watcher asks for another.
      const bundle = isLate ? await bundleFunction({ file, name: 'a', root }) : await built
      t.match(bundle.code, `version ${n}`)
    }
  },
)
