// The command `check`: configuration and all function files, as the host would load them, without starting it.
import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.js'
import { asHostError, HostError, toPlainError } from '../errors.js'
import type { ShownError } from '../functions/catalog.js'
import { type Bundle, type FunctionDescription, groupOf } from '../functions/description.js'
import type { StoreKind } from '../functions/store-kind.js'
import { nearest } from '../nearest.js'
import { errorLines } from './error-text.js'
import { exitCodes } from './exit.js'
import { jsonOption, rootOption } from './option.js'
import { styled, writeJson, writeText } from './output.js'

interface Checked {
  readonly name: string
  readonly file: string
  readonly description: FunctionDescription | null
  readonly error: Omit<ShownError, 'at'> | null
}

export function addCheck(program: Command, ended: (code: number) => void): void {
  jsonOption(
    rootOption(
      program
        .command('check')
        .description('check the configuration, and build and load each function, without a host'),
    ),
  )
    .addHelpText(
      'after',
      '\nTypes are not checked: that is what tsc is for (npm run types).\n\nExample:\n  $ millrace check --root app',
    )
    .action(async (flags: { readonly root: string; readonly json?: boolean }) => {
      const config = loadConfig({ root: flags.root, env: process.env })
      const functions = await checkAll(config)
      const failed = functions.filter(({ error }) => error !== null)
      if (flags.json) writeJson(documentOf(functions))
      else writeText(shown(functions, config.root))
      ended(failed.length > 0 ? exitCodes.refused : exitCodes.done)
    })
}

async function checkAll(config: Config): Promise<Checked[]> {
  // Loaded here: esbuild takes longer to load than most commands run.
  const { isFunctionFile } = await import('../functions/bundle.js')
  const { Probe } = await import('../functions/probe.js')
  const names = await readdir(config.functions).catch((cause: unknown) => {
    throw new HostError('BAD_CONFIG', `functions: there is no folder ${config.functions}`, {
      cause,
    })
  })
  const files = names
    .map((name) => join(config.functions, name))
    .filter((file) => isFunctionFile(file))
    .sort()
  await using probe = new Probe({ loadMs: config.limits.loadMs })
  const checked: Checked[] = []
  // A few at once: each has a thread of its own.
  for (let at = 0; at < files.length; at += 4) {
    const some = files.slice(at, at + 4)
    checked.push(...(await Promise.all(some.map((file) => checkOne(file, files, config, probe)))))
  }
  return await checkTogether(checked)
}

/** Of two that cannot run beside each other, the second is refused. */
async function checkTogether(checked: readonly Checked[]): Promise<Checked[]> {
  const { refuseConflict } = await import('../functions/claims.js')
  const { showError } = await import('../functions/failure.js')
  const taken: FunctionDescription[] = []
  return checked.map((one) => {
    const { file, description } = one
    if (description === null) return one
    try {
      for (const other of taken) refuseConflict(description, other)
      taken.push(description)
      return one
    } catch (thrown) {
      const { at: _, ...error } = showError(toPlainError(thrown), undefined)
      return { ...one, description: null, error: { file, ...error } }
    }
  })
}

/** `files`: all of the folder, of which none may have the same name. */
export async function checkOne(
  file: string,
  files: readonly string[],
  { root, namespace }: Config,
  probe: { probe(bundle: Bundle, of: { namespace: string }): Promise<FunctionDescription> },
): Promise<Checked> {
  const { bundleFunction, functionName } = await import('../functions/bundle.js')
  const { showError } = await import('../functions/failure.js')
  let name = relative(root, file)
  let bundle: Bundle | undefined
  try {
    name = functionName(file)
    const others = files.filter((other) => other !== file && sameName(other, file))
    if (others.length > 0) {
      throw new HostError(
        'DUPLICATE_FUNCTION',
        `${[file, ...others].join(' and ')} are both the function ${name}: delete or rename one`,
        { function: name, details: { file } },
      )
    }
    bundle = await bundleFunction({ file, name, root })
    const description = await probe.probe(bundle, { namespace })
    return { name, file, description, error: null }
  } catch (thrown) {
    const { at: _, ...error } = showError(toPlainError(asHostError(thrown, 'LOAD_FAILED')), bundle)
    return { name, file, description: null, error: { file, ...error } }
  }
}

const sameName = (one: string, other: string): boolean =>
  one.replace(/\.[^.]+$/, '') === other.replace(/\.[^.]+$/, '')

function documentOf(functions: readonly Checked[]) {
  return {
    ok: functions.every(({ error }) => error === null),
    functions: functions.map(({ name, file, description, error }) => ({
      name,
      file,
      ok: error === null,
      inputs: description?.inputs.map(({ stream }) => stream) ?? [],
      outputs: description?.outputs.map(({ stream }) => stream) ?? [],
      table: description?.table ? name : null,
      store: description?.table ? description.store : null,
      loop: Boolean(description?.loop),
      group: description && groupOf(description),
      hasher: description?.hasher ?? null,
      error,
    })),
  }
}

function shown(functions: readonly Checked[], root: string): string {
  if (functions.length === 0) {
    return 'the configuration is right; there is no function yet: make one with millrace new NAME'
  }
  const failed = functions.filter(({ error }) => error !== null).length
  const names = functions.map(({ name }) => name)
  const lines = functions.flatMap(({ name, description, error }) =>
    error === null
      ? [
          `${styled('green', 'ok')}      ${name}  ${edgesOf(description)}`,
          ...absentTables(description, names).map((note) => `        ${note}`),
        ]
      : [
          `${styled('red', 'FAILED')}  ${name}`,
          ...errorLines({
            ...error,
            ...(error.file === undefined ? {} : { file: relative(root, error.file) }),
          }).map((line) => line.replace(/^/gm, '        ')),
        ],
  )
  const sum =
    failed === 0
      ? `${functions.length} checked: all can run`
      : `${functions.length} checked: ${failed} cannot run`
  return [...lines, '', sum].join('\n')
}

/** Tables that are read by the name of a function, which is not among these: it would be waited for. */
function absentTables(
  description: FunctionDescription | null,
  names: readonly string[],
): readonly string[] {
  const { joins = [], lookups = [] } = description ?? {}
  return [...joins, ...lookups]
    .filter(({ stream, isByTopic = false }) => !isByTopic && !names.includes(stream))
    .map(({ stream, topic }) => {
      const near = nearest(stream, names)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      return `${styled('yellow', 'note')}: no function here is "${stream}": until somebody makes the topic ${topic} it waits${hint}`
    })
}

const inStore: Readonly<Record<StoreKind, string>> = {
  level: '',
  memory: ' in memory',
  own: ' in a store of its own',
}

function edgesOf(description: FunctionDescription | null): string {
  const { inputs = [], outputs = [], joins = [], lookups = [], table, loop } = description ?? {}
  const names = (edges: readonly { readonly stream: string }[]) =>
    edges.map(({ stream }) => stream).join(', ')
  const out = [
    ...(table ? [`its table${inStore[description?.store ?? 'level']}`] : []),
    ...(outputs.length > 0 ? [names(outputs)] : []),
    ...(loop ? ['itself'] : []),
  ]
  const read = joins.length + lookups.length === 0 ? '' : ` ⋈ ${names([...joins, ...lookups])}`
  return styled('dim', `${names(inputs)}${read}${out.length === 0 ? '' : ` → ${out.join(', ')}`}`)
}
