// `init`, `new` and `check`: files on a disk, without a host.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { functionFiles, templates } from '#host/commands/template.js'
import { exampleOf } from '#host/example.js'
import { Command } from '../../support/command.js'
import { testFolder } from '../../support/folder.js'

const run = async (t: Test, ...args: string[]) => {
  const command = new Command(t, args)
  const { code } = await command.ended
  return { code, out: command.out, err: command.err }
}

t.test('init makes a project, adds to it with --force, and never overwrites', async (t) => {
  const folder = testFolder(t, { 'millrace-0.1.0.tgz': '' })
  const root = join(folder, 'My App')
  const tarball = join(folder, 'millrace-0.1.0.tgz')
  const nowhere = await run(t, 'init', root, '--millrace', './nope.tgz')
  t.match(nowhere, { code: 64, err: /There is no .*nope\.tgz/ })
  t.notOk(existsSync(root))
  const made = await run(t, 'init', root, '--millrace', relative(process.cwd(), tarball))
  t.match(made, { code: 0, out: /Next:\n {2}cd '.*My App'\n {2}npm install\n {2}npm run dev/ })
  t.same(readdirSync(root).sort(), [
    '.gitignore',
    'README.md',
    'functions',
    'host.config.json',
    'package.json',
    'test',
    'tsconfig.json',
  ])
  t.match(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')), {
    name: 'my-app',
    dependencies: { millrace: `file:${tarball}` },
  })
  writeFileSync(join(root, 'tsconfig.json'), 'mine')
  t.match(await run(t, 'init', root), { code: 73, err: /FOLDER_NOT_EMPTY.*--force/ })
  const file = join(root, 'functions/click-count.ts')
  const source = readFileSync(file, 'utf8')
  const forced = await run(t, 'init', root, '--force', '--json')
  t.match(JSON.parse(forced.out), { written: [], kept: /tsconfig/ })
  t.equal(readFileSync(join(root, 'tsconfig.json'), 'utf8'), 'mine')
  t.equal(readFileSync(file, 'utf8'), source)
})

t.test(
  'new makes a function, with its test where there are tests, under a right name',
  async (t) => {
    const root = testFolder(t, { functions: { 'taken.mts': '' } })
    t.match(await run(t, 'new', 'big-orders', '--root', root, '--template', 'filter', '--json'), {
      code: 0,
      out: /"written":\["functions\/big-orders.ts"\]/,
    })
    mkdirSync(join(root, 'test'))
    t.match(await run(t, 'new', 'visits', '--root', root, '--template', 'session'), { code: 0 })
    const test = readFileSync(join(root, 'test/visits.test.ts'), 'utf8')
    t.match(test, "from '../functions/visits.ts'")
    t.match(test, "const name = 'visits'")
    t.match(await run(t, 'new', 'visits', '--root', root), { code: 73, err: /visits\.ts is there/ })
    t.match(await run(t, 'new', 'taken', '--root', root), { code: 73, err: /taken\.mts is there/ })
    for (const name of ['Big', '../x', '9lives', 'a.test']) {
      const refused = await run(t, 'new', name, '--root', root)
      t.match(refused, { code: 64, err: /no name of a function.*\n.*millrace new --help/ }, name)
    }
    t.match(await run(t, 'new', 'x', '--root', root, '--template', 'nope'), { code: 64 })
  },
)

t.test(
  'a project depends on the package that has made it, wherever npm got that from',
  async (t) => {
    const folder = testFolder(t, { 'm.tgz': '' })
    const made = async (main: string, name: string) => {
      const root = join(folder, name)
      await promisify(execFile)(process.execPath, [main, 'init', root])
      const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
      return dependencies.millrace
    }
    t.equal(await made(join(process.cwd(), 'dist/host/main.js'), 'a'), `file:${process.cwd()}`)

    const modules = join(folder, 'node_modules')
    const installed = join(modules, 'millrace')
    for (const part of ['dist/host', 'dist/sdk', 'templates', 'package.json']) {
      cpSync(part, join(installed, part), { recursive: true })
    }
    const resolved = (from: string) =>
      writeFileSync(
        join(modules, '.package-lock.json'),
        JSON.stringify({ packages: { 'node_modules/millrace': { resolved: from } } }),
      )
    const main = join(installed, 'dist/host/main.js')
    resolved('file:m.tgz')
    t.equal(await made(main, 'b'), `file:${join(folder, 'm.tgz')}`)
    resolved('https://registry.npmjs.org/millrace/-/millrace-0.1.0.tgz')
    t.match(await made(main, 'c'), /^\^\d+\.\d+\.\d+$/)
  },
)

t.test(
  'new names what the function needs in package.json, and shows a record to try it',
  async (t) => {
    const root = testFolder(t, { 'package.json': '{"name":"app"}', functions: {} })
    const made = await run(t, 'new', 'roofs', '--template', 'schema', '--root', root)
    t.match(made, { code: 0, out: /zod@\S+: npm install[\s\S]*millrace emit readings roof '/ })
    const own = JSON.parse(readFileSync('package.json', 'utf8'))
    t.same(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')), {
      name: 'app',
      dependencies: { zod: own.dependencies.zod },
    })
    const other = await run(t, 'new', 'lookup', '--template', 'enrich', '--root', root, '--json')
    t.match(JSON.parse(other.out), { packages: {} })
    t.match(readFileSync(join(root, 'functions/lookup.ts'), 'utf8'), "inputs: { 'lookup-orders': ")
  },
)

t.test('each template shows a record of a stream that it reads', async (t) => {
  for (const { name } of templates()) {
    const [file] = functionFiles(name, name)
    const example = exampleOf(file?.text ?? '')
    const inputs = /inputs: \{ '?([a-z-]+)/.exec(file?.text ?? '')
    t.equal(example?.stream, inputs?.[1], name)
    t.doesNotThrow(() => JSON.parse(example?.value ?? ''), name)
  }
})

t.test('each template passes its own test', async (t) => {
  const args = ['--import', 'tsx', '--test', '--test-reporter', 'tap']
  const files = readdirSync('templates/test').map((file) => join('templates/test', file))
  t.ok(files.length >= 6)
  const env = { PATH: process.env.PATH }
  const { stdout } = await promisify(execFile)(process.execPath, [...args, ...files], { env })
  t.match(stdout, /# pass \d+\n# fail 0\n/)
})

t.test('check tells of tables that no function here keeps', async (t) => {
  const reading = (joins: string) => `
import { defineProcessor, string, topicTable } from 'millrace'
export default defineProcessor({ inputs: { s: string }, table: string, ${joins} on: { s() {} } })`
  const root = testFolder(t, {
    functions: {
      'profiles.ts': reading(''),
      'right.ts': reading("joins: { profiles: string }, lookups: { x: topicTable('x', string) },"),
      'wrong.ts': reading('joins: { profile: string },'),
    },
  })
  const { code, out } = await run(t, 'check', '--root', root)
  t.equal(code, 0)
  t.match(out, /ok +wrong .*\n +note: no function here is "profile": .*; did you mean profiles\?\n/)
  t.equal(out.match(/note:/g)?.length, 1)
})

t.test('check finds what the host would refuse, with the line, and touches nothing', async (t) => {
  const sound =
    "import { defineProcessor, json } from 'millrace'\nexport default defineProcessor({ inputs: { s: json() }, table: json(), on: { s() {} } })"
  const root = testFolder(t, {
    functions: {
      'good.ts': sound,
      'syntax.ts': 'export default {{',
      'empty.ts': '',
      'twice.ts': sound,
      'twice.js': sound,
      'Bad.ts': sound,
    },
  })
  const { code, out } = await run(t, 'check', '--root', root)
  t.equal(code, 1)
  t.match(out, /ok +good {2}s → its table/)
  t.match(out, /FAILED {2}syntax\n +BUILD_FAILED[\s\S]*> 1 \| export default \{\{/)
  const json = await run(t, 'check', '--root', root, '--json')
  const document = JSON.parse(json.out)
  t.equal(document.ok, false)
  t.same(
    document.functions.map(({ name, error }: { name: string; error: { code: string } | null }) => [
      name,
      error?.code ?? null,
    ]),
    [
      ['functions/Bad.ts', 'BAD_FUNCTION_NAME'],
      ['empty', 'BAD_DEFINITION'],
      ['good', null],
      ['syntax', 'BUILD_FAILED'],
      ['twice', 'DUPLICATE_FUNCTION'],
      ['twice', 'DUPLICATE_FUNCTION'],
    ],
  )
  t.same(readdirSync(root), ['functions'])
  writeFileSync(
    join(root, 'functions/other.ts'),
    sound.replace('inputs:', "hasher: 'fnv1a', inputs:"),
  )
  const conflict = await run(t, 'check', '--root', root)
  t.match(conflict.out, /ok +good /)
  t.match(
    conflict.out,
    /FAILED {2}other\n +FUNCTION_CONFLICT: other cannot run beside good: .* by fnv1a in other and by murmur2 in good/,
  )
  writeFileSync(join(root, 'host.config.json'), '{"prot":1}')
  t.match(await run(t, 'check', '--root', root), { code: 78, err: /BAD_CONFIG/ })
})
