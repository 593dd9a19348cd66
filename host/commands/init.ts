// The command `init`: a project in an empty folder, with a function, its test, and what they need.
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, relative, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { HostError } from '../errors.js'
import { jsonOption, nonEmpty } from './option.js'
import { writeJson, writeText } from './output.js'
import {
  defaultTemplate,
  functionFiles,
  isCode,
  ownSpec,
  projectFiles,
  writeFiles,
} from './template.js'

interface InitFlags {
  readonly millrace?: string
  readonly force?: boolean
  readonly json?: boolean
}

export function addInit(program: Command): void {
  jsonOption(
    program
      .command('init')
      .description('make a project: a function, its test, types, and scripts to run them')
      .argument('<dir>', 'an empty folder, or one that is made')
      .option(
        '--millrace <spec>',
        'what to depend on, in place of the package that runs: a tarball of npm pack, a folder, a range',
        dependency,
      )
      .option('--force', 'in a folder that is not empty, too; no file is overwritten'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace init app\n  $ millrace init app --millrace ./millrace-0.1.0.tgz',
    )
    .action(async (dir: string, flags: InitFlags) => {
      await init(dir, flags)
    })
}

async function init(dir: string, flags: InitFlags): Promise<void> {
  const root = resolve(dir)
  const found = await readdir(root).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return []
    throw new HostError('FOLDER_NOT_EMPTY', `${root} is no folder: name another`, { cause: error })
  })
  // A repository that was just made is as good as empty.
  const [other] = found.filter((name) => name !== '.git')
  if (other !== undefined && !flags.force) {
    throw new HostError(
      'FOLDER_NOT_EMPTY',
      `${root} is not empty (it has ${other}): name another folder, or add what is missing with --force`,
    )
  }
  const files = [
    ...projectFiles({ name: packageName(root), millrace: flags.millrace ?? ownSpec() }),
    ...functionFiles(defaultTemplate, 'click-count'),
  ]
  const { written, kept } = await writeFiles(root, files)
  if (flags.json) {
    writeJson({ root, written, kept })
    return
  }
  const cd = relative(process.cwd(), root)
  writeText(
    [
      `Made a project in ${root}:`,
      ...written.map((path) => `  ${path}`),
      ...kept.map((path) => `  ${path} was there already, and stays as it is`),
      '',
      'Next:',
      ...(cd === '' ? [] : [`  cd ${quoted(cd)}`]),
      '  npm install',
      '  npm run dev',
      '',
      'then, in another terminal in the same folder:',
      `  npx millrace emit clicks alice '{"page":"/home"}'`,
      '  npx millrace get click-count alice',
    ].join('\n'),
  )
}

/** A path is meant from where one stands, npm means one from the project. */
function dependency(given: string): string {
  nonEmpty(given)
  if (!/^[./]|^file:|\.tgz$/.test(given) || given.includes('://')) return given
  const path = resolve(given.replace(/^file:/, ''))
  if (!existsSync(path)) throw new InvalidArgumentError(`There is no ${path}.`)
  return `file:${path}`
}

/** As a shell takes it. */
const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`

/** As npm wants names. */
function packageName(root: string): string {
  const name = basename(root)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return name === '' || name === 'millrace' ? 'functions' : name
}
