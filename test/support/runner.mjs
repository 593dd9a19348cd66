// Loaded into tap itself by `npm test` and `npm run test:kafka`, which have built the tests beforehand: each file runs as it was built, by
// Node.js alone. With the loaders of tap and of TypeScript, through which every module passes, a file that imports the host takes a
// second and a half more of a processor before its first test. `npx tap FILE` runs it without a build, and with them.
import { ChildProcess } from 'node:child_process'
import { join, relative } from 'node:path'
import './longest-first.mjs'

const root = join(import.meta.dirname, '../..')

/** Nothing of the coverage, the mocks and the types that these are for is asked for. */
const isLoader = (argument) => /^--import=.*(@tapjs|support\/typescript)/.test(argument)

const asBuilt = (argument) =>
  argument.endsWith('.test.ts')
    ? join(root, 'dist', relative(root, argument).replace(/ts$/, 'js'))
    : argument

const { spawn } = ChildProcess.prototype
ChildProcess.prototype.spawn = function (options) {
  const args = options.args.filter((argument) => !isLoader(argument)).map(asBuilt)
  return spawn.call(this, { ...options, args })
}
