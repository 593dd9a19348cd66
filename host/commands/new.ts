// The command `new`: a further function from a template, and its test if the project has tests.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { loadConfig } from '../config.js'
import { HostError } from '../errors.js'
import { exampleOf } from '../example.js'
import { isObject } from '../object.js'
import { writeWhole } from '../whole-file.js'
import { functionArgument, jsonOption, rootOption } from './option.js'
import { writeJson, writeText } from './output.js'
import {
  defaultTemplate,
  functionFiles,
  ownPackage,
  type TemplateFile,
  templates,
  writeFiles,
} from './template.js'

interface NewFlags {
  readonly root: string
  readonly template: string
  readonly json?: boolean
}

export function addNew(program: Command): void {
  const known = templates()
  const command = program
    .command('new')
    .description('make a function file from a template, and its test if there is a folder test/')
    .argument('<name>', 'small letters, digits and "-", a letter first', functionArgument)
    .addOption(
      new Option('--template <template>', 'what it shows')
        .choices(known.map(({ name }) => name))
        .default(defaultTemplate),
    )
  jsonOption(rootOption(command))
    .addHelpText(
      'after',
      `\nTemplates:\n${known.map(({ name, says }) => `  ${name.padEnd(10)} ${says}`).join('\n')}` +
        '\n\nExample:\n  $ millrace new page-views --template filter',
    )
    .action(async (name: string, flags: NewFlags) => {
      await create(name, flags)
    })
}

async function create(name: string, flags: NewFlags): Promise<void> {
  // Loaded here: esbuild comes with it.
  const { isFunctionFile } = await import('../functions/bundle.js')
  const config = loadConfig({ root: flags.root, env: process.env })
  const folder = config.functions
  const taken = ['.ts', '.mts', '.js', '.mjs']
    .map((extension) => join(folder, name + extension))
    .find((file) => isFunctionFile(file) && existsSync(file))
  if (taken !== undefined) {
    throw new HostError('FOLDER_NOT_EMPTY', `${taken} is there already: take another name`)
  }
  const tests = resolve(config.root, 'test')
  const files = functionFiles(flags.template, name).flatMap(({ path, text }) => {
    if (path.endsWith('.test.ts')) {
      // Wherever host.config.json has the functions.
      const from = relative(tests, folder).replaceAll('\\', '/')
      const moved = text.replaceAll("from '../functions/", `from '${from}/`)
      return existsSync(tests) ? [{ path: join('test', basename(path)), text: moved }] : []
    }
    return [{ path: join(relative(config.root, folder), basename(path)), text }]
  })
  // First what the function needs: dev takes the file up at once.
  const { packages, isNamed } = await addPackages(files, config.root)
  const { written, kept } = await writeFiles(config.root, files)
  if (flags.json) {
    writeJson({ name, template: flags.template, written, kept, packages })
    return
  }
  const example = files.map(({ text }) => exampleOf(text)).find((found) => found !== undefined)
  const needed = Object.entries(packages).map(([each, range]) => `${each}@${range}`)
  writeText(
    [
      ...written.map((path) => `wrote ${path}`),
      ...kept.map((path) => `${path} was there already, and stays as it is`),
      ...(needed.length === 0
        ? []
        : [
            isNamed
              ? `package.json now names ${needed.join(' ')}: npm install`
              : `It needs: npm install ${needed.join(' ')}`,
          ]),
      '',
      'dev takes it up at once; start at its next start, or at a SIGHUP.',
      ...(example === undefined
        ? []
        : [`Then: npx millrace emit ${example.stream} ${example.key} '${example.value}'`]),
    ].join('\n'),
  )
}

/** What the files import and the project does not name: into its package.json, if it has one, as this package is tested with it. */
async function addPackages(
  files: readonly TemplateFile[],
  root: string,
): Promise<{ packages: Readonly<Record<string, string>>; isNamed: boolean }> {
  const file = join(root, 'package.json')
  const manifest = await readFile(file, 'utf8').then(parsed, () => undefined)
  const named = [manifest?.dependencies, manifest?.devDependencies].flatMap((each) =>
    isObject(each) ? Object.keys(each) : [],
  )
  const isMissing = (name: string) =>
    !named.includes(name) && files.some((each) => each.text.includes(`from '${name}'`))
  const missing = Object.entries(ownPackage().dependencies).filter(([name]) => isMissing(name))
  const packages = Object.fromEntries(missing)
  if (manifest === undefined || missing.length === 0) return { packages, isNamed: false }
  const before = isObject(manifest.dependencies) ? manifest.dependencies : {}
  manifest.dependencies = { ...before, ...packages }
  await writeWhole(file, `${JSON.stringify(manifest, null, 2)}\n`)
  return { packages, isNamed: true }
}

/** Undefined: what is no manifest is left alone. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
