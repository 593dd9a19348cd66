// Is a file of types one that `npm run types` checks, strictly? Else its expected errors would expect nothing.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import ts from 'typescript'

/** `file` from the root of the repository. */
export function isTypeChecked(t: Test, file: string): void {
  const root = dirname(fileURLToPath(import.meta.resolve('millrace/package.json')))
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const project = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  t.ok(project.fileNames.includes(join(root, file)))
  t.equal(project.options.strict, true)
}
