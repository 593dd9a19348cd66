// The templates of the package: a project, and functions each with its test. Their files are real ones, which the tests run.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HostError } from '../errors.js'

const folder = fileURLToPath(new URL('../../../templates/', import.meta.url))

export interface TemplateFile {
  /** In the project. */
  readonly path: string
  readonly text: string
}

export const defaultTemplate = 'count'

/** The first line of each function's file says what it shows. */
export function templates(): { readonly name: string; readonly says: string }[] {
  return readdirSync(join(folder, 'functions'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const [first = ''] = read(join('functions', file)).split('\n')
      return { name: file.replace(/\.ts$/, ''), says: first.replace(/^\/\/ /, '') }
    })
}

/** The function's file and its test, under the function's own name. */
export function functionFiles(template: string, name: string): TemplateFile[] {
  // Also streams that have the function's name within theirs.
  const renamed = (text: string) =>
    text
      .replaceAll(`'${template}'`, `'${name}'`)
      .replaceAll(`/${template}.ts'`, `/${name}.ts'`)
      .replaceAll(`${template}-`, `${name}-`)
  return [
    {
      path: join('functions', `${name}.ts`),
      text: renamed(read(join('functions', `${template}.ts`))),
    },
    {
      path: join('test', `${name}.test.ts`),
      text: renamed(read(join('test', `${template}.test.ts`))),
    },
  ]
}

/** What surrounds the functions. */
export function projectFiles({ name, millrace }: { name: string; millrace: string }) {
  const { devDependencies } = ownPackage()
  const manifest = {
    name,
    version: '0.0.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      // In the shell's place: a signal to npm would else end the shell alone.
      dev: 'exec millrace dev',
      start: 'exec millrace start',
      check: 'millrace check',
      test: 'tsx --test test/*.test.ts',
      types: 'tsc',
    },
    dependencies: { millrace },
    devDependencies: Object.fromEntries(
      ['@types/node', 'tsx', 'typescript'].map((each) => [each, devDependencies[each] ?? '*']),
    ),
  }
  return [
    { path: 'package.json', text: `${JSON.stringify(manifest, null, 2)}\n` },
    // npm leaves a file with the dot out of a package.
    { path: '.gitignore', text: read('project/gitignore') },
    ...['README.md', 'host.config.json', 'tsconfig.json'].map((path) => ({
      path,
      text: read(join('project', path)).replaceAll('PROJECT', name),
    })),
  ]
}

/** Writes what is not there; never over a file. Returns what was written, and what was there already. */
export async function writeFiles(root: string, files: readonly TemplateFile[]) {
  const written: string[] = []
  const kept: string[] = []
  for (const { path, text } of files) {
    const file = join(root, path)
    try {
      await mkdir(dirname(file), { recursive: true })
      // `wx`: of two that make it at once, one is told.
      await writeFile(file, text, { flag: 'wx' })
      written.push(path)
    } catch (cause) {
      if (isCode(cause, 'EEXIST')) kept.push(path)
      else throw notWritable(file, cause)
    }
  }
  return { written, kept }
}

export const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

function notWritable(file: string, cause: unknown): HostError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new HostError('DATA_NOT_WRITABLE', `${file} cannot be written: ${reason}`, { cause })
}

const read = (path: string): string => readFileSync(join(folder, path), 'utf8')

type Versions = Readonly<Record<string, string>>

/** Tools and packages of a new project are those that this package is tested with. */
export function ownPackage(): {
  readonly version: string
  readonly dependencies: Versions
  readonly devDependencies: Versions
} {
  return JSON.parse(read('../package.json'))
}

/** What a project depends on to have the very package that runs here: as npm got it, or the folder that it runs from. */
export function ownSpec(): string {
  const root = join(folder, '..')
  const modules = dirname(root)
  const { version } = ownPackage()
  if (basename(modules) !== 'node_modules') return `file:${root}`
  try {
    const lock = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8'))
    const resolved: unknown = lock.packages?.[`node_modules/${basename(root)}`]?.resolved
    if (typeof resolved !== 'string' || !resolved.startsWith('file:')) return `^${version}`
    const from = resolve(dirname(modules), resolved.slice('file:'.length))
    return `file:${existsSync(from) ? from : root}`
  } catch {
    // Another package manager than npm.
    return `^${version}`
  }
}
