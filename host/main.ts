#!/usr/bin/env node
// The command line: reads the arguments, runs the command, and ends the process with its exit code.
import { Command } from 'commander'
import { end, report } from './commands/exit.js'
import { addServe } from './commands/serve.js'
import { version } from './commands/version.js'

const exitCode = await run(process.argv).catch(report)
await end(exitCode)

/** Resolves with the exit code of the command. */
async function run(argv: readonly string[]): Promise<number> {
  let code = 0
  const program = new Command('millrace')
    .description(
      'Runs the functions of a folder over streams, keeps their tables, and serves both over HTTP.',
    )
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dev                      run ./functions, and follow what is saved there' +
        '\n  $ millrace start --root app --port 8080   run app/functions\n\nSettings: host.config.json beside functions/, or MILLRACE_HTTP_PORT and the like.',
    )
    .showHelpAfterError('(run millrace --help to see what there is)')
    .exitOverride()

  addServe(program, (ended) => {
    code = ended
  })
  await program.parseAsync(argv)
  return code
}
