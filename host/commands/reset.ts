// The command `reset`: a function begins anew from its inputs. A host that runs does it; else the command takes the data folder as a host would.
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.js'
import { HostError, isErrorCode } from '../errors.js'
import { isFolder } from '../folder.js'
import { ownNames, viewStoreOf } from '../functions/names.js'
import type { Asked, ResetReport } from '../functions/operation.js'
import { type ResetNames, remainsOf, resetNames, resetSteps } from '../functions/reset.js'
import { nearest } from '../nearest.js'
import { checkOne } from './check.js'
import type { HostClient } from './client.js'
import { exitCodes } from './exit.js'
import {
  functionArgument,
  type HostFlags,
  hostOptions,
  nonEmpty,
  runningHostClient,
} from './option.js'
import { grouped, writeJson, writeText } from './output.js'

interface ResetFlags extends HostFlags {
  readonly data?: string
  readonly log?: string
  readonly revision?: string
  readonly yes?: boolean
}

interface Reported extends ResetReport {
  readonly function: string
  readonly asked: Asked
}

export function addReset(program: Command, ended: (code: number) => void): void {
  const command = program
    .command('reset')
    .description('delete the table, loop and positions of a function: it begins anew')
    .argument('<function>', 'its name; its file may be gone', functionArgument)
    .option('--yes', 'do not ask: in scripts, where there is no terminal')
    .option('--revision <revision>', "else that of the function's file, if it is there", nonEmpty)
    .option('--data <dir>', 'the folder of log and tables', nonEmpty)
    .option('--log <log>', 'embedded, or kafka://host:port[,host:port]', nonEmpty)
  hostOptions(command)
    .addHelpText(
      'after',
      `
A host that runs is asked to do it, and goes on: the one at --url or MILLRACE_URL, else the one that has the data folder. On Kafka all hosts that
run the function then stop it, and begin it anew together. Without a host, and with --revision, --data or --log, the command does it: then none may
run, on Kafka nowhere.

The function handles the records that its inputs still have from the oldest one on, and emits to its outputs again; streams stay as they are.
Interrupted, it can be run again; a host that is started in between finds the function either as it was or begun anew. Of a view its copy on this
host goes, and nothing of the log; without a file the name is taken for a processor's, too.

Example:
  $ millrace reset click-count --yes`,
    )
    .action(async (name: string, flags: ResetFlags) => {
      if (!flags.yes && !process.stdin.isTTY) {
        command.error('error: say --yes: there is no terminal to ask')
      }
      if (await reset(name, flags)) return
      process.stderr.write('nothing was reset\n')
      ended(exitCodes.refused)
    })
}

/** False: it was asked, and the answer was no. */
async function reset(name: string, flags: ResetFlags): Promise<boolean> {
  const { revision, data, log } = flags
  const isAlone = [revision, data, log].some((given) => given !== undefined)
  using client = isAlone ? undefined : runningHostClient(flags)
  return client === undefined ? await resetHere(name, flags) : await resetBy(client, name, flags)
}

/** By a host that runs. */
async function resetBy(client: HostClient, name: string, flags: ResetFlags): Promise<boolean> {
  const question = `reset ${name}: delete its table, loop and positions, or a view’s copy?`
  if (!flags.yes && !(await confirmed(question))) return false
  const path = `/functions/${encodeURIComponent(name)}/reset`
  const report = await client.json<Reported>({ method: 'POST', path })
  const { topics, positions, asked } = report
  const deleted = [...topics, ...(positions === 0 ? [] : [`${grouped(positions)} positions`])]
  const what = deleted.length === 0 ? 'what it had of it' : deleted.join(', ')
  const where = asked === 'all' ? 'on all instances' : 'by its host'
  show(flags, report, `${name} is reset ${where}: ${what} deleted; it has begun anew`)
  return true
}

async function resetHere(name: string, flags: ResetFlags): Promise<boolean> {
  const config = loadConfig({
    root: flags.root,
    env: process.env,
    flags: {
      ...(flags.data === undefined ? {} : { data: flags.data }),
      ...(flags.log === undefined ? {} : { log: flags.log }),
    },
  })
  if (config.log.kind === 'embedded' && !(await isFolder(join(config.data, 'log')))) {
    throw new HostError(
      'UNKNOWN_FUNCTION',
      `there is no log in ${config.data}: no host has run on it, and there is nothing to reset`,
    )
  }
  const names = await namesOf(name, config, flags.revision)
  // Loaded here: most commands have no need of the log.
  const { openLogAlone } = await import('../open-log.js')
  let failure: HostError | undefined
  await using opened = await openLogAlone(config, (error) => {
    failure = error
  })
  const options = {
    log: opened.log,
    tables: join(config.data, 'tables'),
    names,
  }
  const remains = await remainsOf(options)
  const { topics, positions, hasStore, hasNotes } = remains
  if (topics.length === 0 && positions === 0 && !hasStore && !hasNotes) {
    const hint = await otherName(name, config.functions)
    if (hint !== undefined) throw new HostError('UNKNOWN_FUNCTION', hint)
    show(flags, { function: name, topics: [], positions }, `${name} has nothing to reset`)
    return true
  }
  const what = [
    ...topics.map((topic) => `${topic.name} (${grouped(topic.records)} records)`),
    ...(names.group === undefined ? [] : [`${grouped(positions)} positions`]),
    ...(hasStore ? ['the local table'] : []),
    ...(hasNotes ? ['what is noted of its inputs'] : []),
  ].join(', ')
  if (!flags.yes && !(await confirmed(`reset ${name}: delete ${what}?`))) {
    return false
  }
  for (const step of resetSteps(options, remains)) {
    await step()
    if (failure !== undefined) throw failure
  }
  show(
    flags,
    { function: name, topics: topics.map((topic) => topic.name), positions },
    `${name} is reset: ${what} deleted; it begins anew at the next start`,
  )
  return true
}

/** As the file has them: it may name them otherwise, or a revision, which has a group, a table and a loop of its own. */
async function namesOf(
  name: string,
  config: Config,
  revision: string | undefined,
): Promise<ResetNames> {
  const file = ['.ts', '.mts', '.js', '.mjs']
    .map((extension) => join(config.functions, name + extension))
    .find((path) => existsSync(path))
  const { namespace } = config
  if (file === undefined) {
    return {
      ...ownNames(name, namespace, { revision }),
      view: viewStoreOf(name, namespace, revision),
    }
  }
  const { Probe } = await import('../functions/probe.js')
  await using probe = new Probe({ loadMs: config.limits.loadMs })
  const { description, error } = await checkOne(file, [file], config, probe)
  if (description !== null) {
    if (revision === undefined) return resetNames(description, namespace)
    return description.kind === 'view'
      ? { view: viewStoreOf(name, namespace, revision) }
      : ownNames(name, namespace, { revision })
  }
  throw new HostError(
    error?.code !== undefined && isErrorCode(error.code) ? error.code : 'LOAD_FAILED',
    `${error?.message}: mend or delete the file first, since it says what is meant`,
  )
}

function show(flags: Pick<ResetFlags, 'json'>, document: object, text: string): void {
  if (flags.json) writeJson(document)
  else writeText(text)
}

/** Why the name is none, if it is none. */
async function otherName(name: string, folder: string): Promise<string | undefined> {
  const files = await readdir(folder).catch(() => [])
  const names = files.map((file) => file.replace(/\.[^.]+$/, ''))
  if (names.includes(name)) return undefined
  const near = nearest(name, names)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return `${name} has neither a file nor anything in the log${hint}`
}

async function confirmed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}
