// The packed test kit in a project of its own: with node:test, with vitest, with fake timers, and its types for the compiler.

import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { testFolder } from '../../support/folder.js'

const repository = process.cwd()
const { NODE_OPTIONS: _, ...env } = process.env

interface Ended {
  readonly code: number
  readonly output: string
}

async function run(cwd: string, file: string, ...args: string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, args, {
      cwd,
      env: { ...env, NO_COLOR: '1', CI: '1' },
    })
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const {
      code,
      stdout = '',
      stderr = '',
    } = error as { code?: number; stdout?: string; stderr?: string }
    return { code: code ?? -1, output: `${stdout}${stderr}` }
  }
}

const clickCount = `import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),
  on: {
    async clicks(ctx) {
      await Promise.resolve()
      ctx.set({ count: (ctx.get()?.count ?? 0) + 1 })
    },
  },
})
`

const nodeTest = (expected: number) => `import assert from 'node:assert/strict'
import test from 'node:test'
import { testHost } from 'millrace/testing'
import clickCount from './click-count.mjs'

test('counts', async () => {
  const host = await testHost({ clickCount })
  await host.emit('clicks', 'alice', { page: '/' })
  await host.settled()
  assert.deepEqual(host.table('clickCount').get('alice'), { count: ${expected} })
  await host.close()
})

test('counts while node:test has put timers of its own in place', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate', 'Date'] })
  const host = await testHost({ clickCount }, { seed: 3, faults: true })
  for (let n = 0; n < 5; n += 1) await host.emit('clicks', 'alice', { page: '/' })
  await host.crash()
  await host.rebalance()
  await host.settled()
  assert.deepEqual(host.table('clickCount').get('alice'), { count: 5 })
  await host.close()
})
`

const vitest = (expected: number) => `import { testHost } from 'millrace/testing'
import { afterEach, expect, test, vi } from 'vitest'
import clickCount from './functions/click-count'

afterEach(() => void vi.useRealTimers())

test('counts', async () => {
  await using host = await testHost({ clickCount })
  await host.emit('clicks', 'alice', { page: '/' })
  await host.settled()
  expect(host.table('clickCount').get('alice')).toEqual({ count: ${expected} })
})

test('counts while vitest has put timers of its own in place', async () => {
  vi.useFakeTimers()
  await using host = await testHost({ clickCount }, { seed: 3, faults: true })
  for (let n = 0; n < 5; n += 1) await host.emit('clicks', 'alice', { page: '/' })
  await host.crash()
  await host.rebalance()
  await host.settled()
  expect(host.table('clickCount').get('alice')).toEqual({ count: 5 })
})
`

const typed = `import { testHost } from 'millrace/testing'
import clickCount from './functions/click-count.js'

export async function uses(): Promise<number | undefined> {
  await using host = await testHost({ clickCount }, { partitions: 2 })
  await host.emit('clicks', 'alice', { page: '/' })
  // @ts-expect-error no such stream
  await host.emit('click', 'alice', { page: '/' })
  // @ts-expect-error no such value
  await host.emit('clicks', 'alice', { page: 7 })
  return host.table('click-count').get('alice')?.count
}
`

const project = testFolder(t, {
  'package.json': JSON.stringify({ name: 'project', type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      strict: true,
      noEmit: true,
      target: 'ES2023',
      module: 'NodeNext',
      lib: ['ES2023', 'ESNext.Disposable'],
      types: ['node'],
      skipLibCheck: true,
    },
    include: ['typed.ts'],
  }),
  functions: { 'click-count.ts': clickCount },
  'click-count.mjs': clickCount.replace(/<\{.*?\}>/g, ''),
  'typed.ts': typed,
  'right.test.mjs': nodeTest(1),
  'wrong.test.mjs': nodeTest(2),
  'right-vitest.ts': vitest(1),
  'wrong-vitest.ts': vitest(2),
  'vitest.config.mjs': "export default { test: { include: ['*-vitest.ts'], pool: 'threads' } }\n",
})
const modules = join(project, 'node_modules')
const vitestBin = join(repository, 'node_modules/vitest/vitest.mjs')

t.before(async () => {
  mkdirSync(join(modules, '@types'), { recursive: true })
  // Not scripts: what is packed is what was built for the tests. The declarations are made where they are wanted.
  const packed = await run(
    repository,
    'npm',
    ...['pack', '--ignore-scripts', '--json', '--pack-destination', modules],
  )
  t.equal(packed.code, 0, 'it is packed')
  const found = /"filename": "(.*?)"/.exec(packed.output)?.[1] ?? ''
  await run(modules, 'tar', '-xzf', found)
  await run(modules, 'mv', 'package', 'millrace')
  symlinkSync(join(repository, 'node_modules/vitest'), join(modules, 'vitest'))
  symlinkSync(join(repository, 'node_modules/@types/node'), join(modules, '@types/node'))
})

t.test('node:test runs it, and sees a wrong count', async (t) => {
  const right = await run(project, process.execPath, '--test', 'right.test.mjs')
  t.equal(right.code, 0, right.output)
  t.match(right.output, /pass 2/)
  const wrong = await run(project, process.execPath, '--test', 'wrong.test.mjs')
  t.equal(wrong.code, 1)
  t.match(wrong.output, /pass 1\n.*fail 1/s)
})

t.test('vitest runs it, and sees a wrong count', async (t) => {
  const args = ['run', '--root', project]
  const right = await run(project, process.execPath, vitestBin, ...args, 'right')
  t.equal(right.code, 0, right.output)
  t.match(right.output, /2 passed/)
  const wrong = await run(project, process.execPath, vitestBin, ...args, 'wrong')
  t.equal(wrong.code, 1)
  t.match(wrong.output, /1 failed.*1 passed/)
})

const declarations = ['-p', 'tsconfig.build.json', '--noCheck']

t.test('its types come with it, and refuse what no function declares', async (t) => {
  const outDir = join(modules, 'millrace/dist')
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  // Checked by `npm run types`; here only the declarations are wanted.
  const made = await run(repository, process.execPath, tsc, ...declarations, '--outDir', outDir)
  t.equal(made.code, 0, made.output)
  const checked = await run(project, process.execPath, tsc, '-p', '.')
  t.equal(checked.code, 0, checked.output)
})
