// docs/errors.md and the table of codes say the same, both ways.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { errorCodes, isErrorCode } from '#host/errors.js'

const root = process.cwd()

interface Section {
  readonly code: string
  readonly text: string
}

async function sections(): Promise<Section[]> {
  const page = await readFile(join(root, 'docs/errors.md'), 'utf8')
  return page
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const end = section.indexOf('\n')
      return { code: section.slice(0, end).trim(), text: section.slice(end) }
    })
}

t.test('every code has one section, and every section a code', async (t) => {
  const documented = (await sections()).map(({ code }) => code)
  t.same([...documented].sort(), Object.keys(errorCodes).sort())
})

t.test(
  'a section names the status or the exit code, and whether to try again, as the table has them',
  async (t) => {
    for (const { code, text } of await sections()) {
      if (!isErrorCode(code)) {
        t.fail(`${code} is no code`)
        continue
      }
      const entry = errorCodes[code]
      const fact = 'exit' in entry ? `Exit code ${entry.exit}.` : `HTTP status ${entry.status}.`
      t.equal(text.trim().split('\n')[0], entry.retryable ? `${fact} Retryable.` : fact, code)
      t.match(text, /\*\*What to do:\*\* \S/, `${code} says what to do`)
    }
  },
)
