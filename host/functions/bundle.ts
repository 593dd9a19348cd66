// From a function file to one piece of CommonJS with a source map; and which files are functions, under what name.

import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, relative, resolve, sep } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type BuildOptions, type BuildResult, build, type Message } from 'esbuild'
import { HostError } from '../errors.js'
import type { Bundle } from './description.js'
import { isFunctionName } from './names.js'
import { nativePackages } from './native-packages.js'
import { codeFrame } from './stack.js'

/** One reason why a file does not build. Line and column count from 1. */
export interface BuildProblem {
  readonly message: string
  readonly file: string
  readonly line?: number
  readonly column?: number
  readonly frame?: string
}

/** `details` of a BUILD_FAILED: the place of the first problem, then all. */
export interface BuildFailure extends Partial<Omit<BuildProblem, 'message'>> {
  readonly problems: readonly BuildProblem[]
  /** What was read, and what was looked for: a change of any of them may mend it. */
  readonly inputs: readonly string[]
}

export interface BundleRequest {
  /** Absolute. */
  readonly file: string
  readonly name: string
  /** The project's folder, from which npm packages are found. */
  readonly root: string
}

const emptyMs = 250
const extensions = ['.ts', '.mts', '.js', '.mjs']

/** Is it a function by its name? Not: declarations, tests, and what begins with a dot or an underscore. */
export function isFunctionFile(path: string): boolean {
  const base = basename(path)
  if (base.startsWith('.') || base.startsWith('_')) return false
  return extensions.includes(extname(base)) && !/\.(d|test|spec)\.[^.]+$/.test(base)
}

/** The name of the function in a file: its base name. */
export function functionName(file: string): string {
  const name = basename(file, extname(file))
  if (isFunctionName(name)) return name
  const better = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
  const example = better === '' ? 'click-count' : better
  throw new HostError(
    'BAD_FUNCTION_NAME',
    `${file} cannot be a function: "${name}" is no name of one (small letters, digits and "-", a letter first); ` +
      `call it ${example}${extname(file)}, or _${basename(file)} if it is none`,
    { function: name },
  )
}

/** Bundles what the file's imports lead to. Rejects with BUILD_FAILED, whose details are a `BuildFailure`. */
export async function bundleFunction(request: BundleRequest): Promise<Bundle> {
  let before: ReadonlyMap<string, string> | undefined
  for (let attempt = 1; ; attempt++) {
    await untilWritten(request.file)
    const startedAt = Date.now()
    const outcome = await buildOnce(request)
    const stamps = await stampsOf(outcome.inputs)
    // An editor may write in several pieces, and the watcher misses the later ones: what was built has to be what lies there.
    const isSettled = before === undefined ? isOlder(stamps, startedAt) : isSame(before, stamps)
    if (isSettled || attempt === 10) {
      if (outcome.bundle) return outcome.bundle
      throw failure(request, outcome.problems, outcome.inputs)
    }
    before = stamps
  }
}

/** Who saves in place empties the file first: one that stays empty for longer is meant so. */
async function untilWritten(file: string): Promise<void> {
  for (const startedAt = Date.now(); Date.now() - startedAt < emptyMs; await pause(5)) {
    const found = await stat(file).catch(() => undefined)
    if (found?.size !== 0) return
  }
}

type Outcome =
  | { readonly bundle: Bundle; readonly inputs: readonly string[] }
  | {
      readonly bundle?: undefined
      readonly problems: readonly BuildProblem[]
      readonly inputs: readonly string[]
    }

async function buildOnce(request: BundleRequest): Promise<Outcome> {
  const options = optionsFor(request)
  let result: BuildResult<typeof options>
  try {
    result = await build(options)
  } catch (thrown) {
    return failed(request, messagesOf(thrown))
  }
  const inputs = Object.keys(result.metafile.inputs).map((input) => resolve(request.root, input))
  // Packages often mention import.meta on a way that is never taken; in the user's own file it is a mistake.
  const isOwn = ({ location }: Message) => !location?.file.split('/').includes('node_modules')
  const empty = result.warnings.filter(
    (warning) => warning.id === 'empty-import-meta' && isOwn(warning),
  )
  if (empty.length > 0) return failed(request, empty)
  const [map, code] = ['.map', '.js'].map(
    (ending) => result.outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '',
  )
  if (map === undefined || code === undefined)
    throw new HostError('INTERNAL', 'esbuild gave no output')
  const version = createHash('sha256').update(code).digest('hex').slice(0, 12)
  const { file, name } = request
  return { bundle: { name, file, version, code, map, inputs }, inputs }
}

function optionsFor({ file, name, root }: BundleRequest) {
  return {
    absWorkingDir: root,
    entryPoints: [file],
    outfile: resolve(root, `${name}.js`),
    write: false,
    metafile: true,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    charset: 'utf8',
    sourcemap: 'external',
    sourceRoot: root + sep,
    external: ['millrace'],
    plugins: [nativePackages],
    // An import() that esbuild left alone would leak each version for good; as a require it goes with the version.
    supported: { 'dynamic-import': false },
    logOverride: { 'import-is-undefined': 'error' },
    logLevel: 'silent',
  } satisfies BuildOptions & { write: false; metafile: true }
}

/** A failed build has no list of inputs, so a second one notes what it reads. */
async function failed(request: BundleRequest, messages: readonly Message[]): Promise<Outcome> {
  const inputs = new Set([request.file])
  const recorder: BuildOptions['plugins'] = [
    {
      name: 'inputs',
      setup({ onLoad }) {
        onLoad({ filter: /.*/ }, ({ path }) => {
          inputs.add(path)
          return null
        })
      },
    },
  ]
  await build({ ...optionsFor(request), plugins: recorder }).catch(() => undefined)
  const problems = await Promise.all(messages.map((message) => problemOf(request, message)))
  for (const { text, location } of messages) {
    const missing = /^Could not resolve "(\.{1,2}\/[^"]+)"/.exec(text)?.[1]
    if (missing === undefined || location === null) continue
    const path = resolve(request.root, dirname(location.file), missing)
    inputs.add(path)
    const extension = extname(path)
    if (extension === '') for (const possible of extensions) inputs.add(path + possible)
    // TypeScript's files are imported by the names that they are compiled to.
    if (/^\.[cm]?js$/.test(extension)) inputs.add(path.replace(/js$/, 'ts'))
  }
  return { problems, inputs: [...inputs] }
}

async function problemOf(request: BundleRequest, message: Message): Promise<BuildProblem> {
  const { location } = message
  if (location === null) return { message: inOurWords(message), file: request.file }
  const file = resolve(request.root, location.file)
  // esbuild counts columns in bytes.
  const column = Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1
  const source = await readFile(file, 'utf8').catch(() => undefined)
  const frame = source === undefined ? {} : { frame: codeFrame(source, location.line, column) }
  return { message: inOurWords(message), file, line: location.line, column, ...frame }
}

function inOurWords({ text, id, location }: Message): string {
  const missing = /^Could not resolve "(.*)"$/.exec(text)?.[1]
  if (missing !== undefined) {
    if (location === null) return `there is no file ${missing}`
    if (missing.startsWith('.') || missing.startsWith('/')) return `there is no file "${missing}"`
    const name = missing.split('/', missing.startsWith('@') ? 2 : 1).join('/')
    return `the package "${missing}" is not installed, or has no such entry: npm install ${name}`
  }
  if (text.startsWith('Top-level await')) {
    return 'a function file cannot await at its top level: await inside a handler'
  }
  if (id === 'empty-import-meta') {
    return 'import.meta has no value in a function, which becomes one CommonJS file: use __filename or __dirname, which are those of the function file'
  }
  if (text.startsWith('No loader is configured for ".node"')) {
    return `${text}: native code cannot be bundled into a function: import the package that it belongs to`
  }
  return text
}

function failure(
  request: BundleRequest,
  problems: readonly BuildProblem[],
  inputs: readonly string[],
): HostError {
  const { message, ...place }: BuildProblem = problems[0] ?? {
    message: 'no reason given',
    file: request.file,
  }
  const details: BuildFailure = { ...place, problems, inputs }
  const at = place.line === undefined ? '' : `:${place.line}:${place.column}`
  const file = relative(request.root, place.file)
  const further = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  return new HostError(
    'BUILD_FAILED',
    `${request.name} does not build: ${file}${at}: ${message}${further}`,
    {
      function: request.name,
      details,
    },
  )
}

function messagesOf(thrown: unknown): readonly Message[] {
  if (thrown instanceof Error && 'errors' in thrown && Array.isArray(thrown.errors))
    return thrown.errors
  throw new HostError('INTERNAL', 'the bundler itself failed', { cause: thrown })
}

/** The change time, which no tool can set back, with size and inode; empty for a file that is not there. */
async function stampsOf(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return new Map(
    await Promise.all(
      files.map(async (file): Promise<[string, string]> => {
        const found = await stat(file, { bigint: true }).catch(() => undefined)
        return [file, found === undefined ? '' : `${found.ctimeNs} ${found.size} ${found.ino}`]
      }),
    ),
  )
}

function isOlder(stamps: ReadonlyMap<string, string>, startedAt: number): boolean {
  // The clock of the file system ticks up to 10 ms late.
  const limit = BigInt(startedAt - 10) * 1_000_000n
  return [...stamps.values()].every(
    (stamp) => stamp === '' || BigInt(stamp.split(' ')[0] ?? '') < limit,
  )
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([file, stamp]) => other.get(file) === stamp)
}
