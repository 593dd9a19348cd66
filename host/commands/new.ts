// The command `new`: a further function from a template, and its test if the project has tests.
import { existsSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { loadConfig } from '../config.js'
import { HostError } from '../errors.js'
import { jsonOption, rootOption } from './option.js'
import { writeJson, writeText } from './output.js'
import { defaultTemplate, functionFiles, templates, writeFiles } from './template.js'

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
    .argument('<name>', 'small letters, digits and "-", a letter first')
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
  const { functionName, isFunctionFile } = await import('../functions/bundle.js')
  const config = loadConfig({ root: flags.root, env: process.env })
  if (basename(name) !== name || functionName(`${name}.ts`) !== name) {
    throw new HostError(
      'BAD_FUNCTION_NAME',
      `${JSON.stringify(name)} is no name of a function: small letters, digits and "-", a letter first`,
    )
  }
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
  const { written, kept } = await writeFiles(config.root, files)
  if (flags.json) {
    writeJson({ name, template: flags.template, written, kept })
    return
  }
  const missing = missingPackages(files, config.root)
  writeText(
    [
      ...written.map((path) => `wrote ${path}`),
      ...kept.map((path) => `${path} was there already, and stays as it is`),
      ...(missing.length === 0 ? [] : ['', `It needs: npm install ${missing.join(' ')}`]),
      '',
      'dev takes it up at once; start at its next start, or at a SIGHUP.',
    ].join('\n'),
  )
}

function missingPackages(files: readonly { readonly text: string }[], root: string): string[] {
  const imported = files.flatMap(({ text }) =>
    [...text.matchAll(/from '([a-z@][^':]*)'/g)].map(([, name = '']) => name),
  )
  const isThere = (name: string): boolean => {
    for (let at = root; ; at = dirname(at)) {
      if (existsSync(join(at, 'node_modules', name))) return true
      if (at === dirname(at)) return false
    }
  }
  return [...new Set(imported)].filter((name) => !name.startsWith('millrace') && !isThere(name))
}
