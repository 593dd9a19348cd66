// Every example of docs/testing.md is compiled, checked and run: what the page shows is what happens.

import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { storeChecks } from 'millrace/testing'
import t from 'tap'
import { journal } from '../../examples/07-store/journal.js'
import { testFolder } from '../support/folder.js'

const repository = process.cwd()
const page = readFileSync(join(repository, 'docs/testing.md'), 'utf8')

/** What the page says that its later examples leave out. */
const imports = `import assert from 'node:assert/strict'
import test from 'node:test'
import { defineProcessor, defineView, int64, json, string } from 'millrace'
import { testHost } from 'millrace/testing'
import { z } from 'zod'
`

interface Example {
  readonly file: string
  readonly source: string
}

const examples = [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```$/gms)].map(
  ([, file = '', code = '']): Example => ({
    file,
    source: code.includes("from 'millrace") ? code : imports + code,
  }),
)

async function run(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  try {
    const options = { cwd, env: { ...env, NO_COLOR: '1' } }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options)
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return { code: 1, output: `${stdout}${stderr}` }
  }
}

// Inside of the repository, so that `millrace` is the one that is tested.
const folder = testFolder(t)

t.before(async () => {
  for (const { file, source } of examples) {
    const path = join(folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, source)
    const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'node20' })
    writeFileSync(path.replace(/\.ts$/, '.js'), code)
  }
})

t.test('every example of the page is a file with a name', (t) => {
  t.equal(examples.length, page.match(/^```ts$/gm)?.length)
  t.equal(new Set(examples.map(({ file }) => file)).size, examples.length)
  t.end()
})

t.test('the examples do what they say', async (t) => {
  const files = examples.map(({ file }) => file.replace(/\.ts$/, '.js'))
  const tests = files.filter((file) => file.startsWith('test/'))
  t.ok(tests.length >= 12)
  // One process for all: each would take longer to start than to run.
  writeFileSync(join(folder, 'all.js'), tests.map((file) => `import './${file}'\n`).join(''))
  const { code, output } = await run(folder, '--test-reporter', 'tap', 'all.js')
  t.equal(code, 0, output)
  // Not of the files: of the tests in them.
  const shown = page.match(/^ *test\(/gm)?.length ?? 0
  const repeated = 9 + storeChecks(journal).length
  t.match(output, new RegExp(`^# pass ${shown + repeated}$`, 'm'), 'all of them were run')
})

t.test('the examples compile, strictly', async (t) => {
  const options = {
    extends: join(repository, 'tsconfig.json'),
    compilerOptions: { noEmit: true, rootDir: repository, noUnusedLocals: false },
    include: ['**/*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  const { code, output } = await run(
    folder,
    join(repository, 'node_modules/typescript/bin/tsc'),
    ...['-p', '.'],
  )
  t.equal(code, 0, output)
})
