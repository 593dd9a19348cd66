#!/usr/bin/env node
// The command line: reads the arguments, runs the command, and ends the process with its exit code.
import { Command } from 'commander'
import { addCheck } from './commands/check.js'
import { addEmit } from './commands/emit.js'
import { end, report } from './commands/exit.js'
import { addFunctions, addOperations } from './commands/functions.js'
import { addGet } from './commands/get.js'
import { addInit } from './commands/init.js'
import { addMove } from './commands/move.js'
import { addNew } from './commands/new.js'
import { addReset } from './commands/reset.js'
import { addServe } from './commands/serve.js'
import { addTopology } from './commands/topology.js'
import { version } from './commands/version.js'
import { addVisit } from './commands/visit.js'

// Whatever goes wrong: also arguments that cannot be read are reported in the form that was asked for.
const json = process.argv.includes('--json')
const exitCode = await run(process.argv).catch((thrown: unknown) => report(thrown, { json }))
await end(exitCode)

/** Resolves with the exit code of the command. */
async function run(argv: readonly string[]): Promise<number> {
  let code = 0
  const ended = (how: number) => {
    code = how
  }
  const program = new Command('millrace')
    .description(
      'Runs the functions of a folder over streams, keeps their tables, and serves both over HTTP.',
    )
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      `
Examples:
  $ millrace init app                  make a project; then: cd app && npm install && npm run dev
  $ millrace dev                       run ./functions, and follow what is saved there
  $ millrace emit clicks alice '{"page":"/home"}'
  $ millrace get click-count alice

millrace COMMAND --help has an example of each. Settings: host.config.json beside functions/, or MILLRACE_HTTP_PORT and the like.
Commands that speak to a host find it by --root or --url; MILLRACE_TOKEN is their bearer token.`,
    )
    .showHelpAfterError('(run millrace --help to see what there is)')
    .exitOverride()
    .configureOutput(json ? { writeErr: () => {} } : {})

  addServe(program, ended)
  addInit(program)
  addNew(program)
  addCheck(program, ended)
  addEmit(program, ended)
  addGet(program)
  addFunctions(program)
  addTopology(program)
  addOperations(program)
  addVisit(program, ended)
  addReset(program, ended)
  addMove(program)
  for (const command of program.commands) {
    command.showHelpAfterError(`(run millrace ${command.name()} --help to see how it is called)`)
  }
  await program.parseAsync(argv)
  return code
}
