// docs/commands.md, the help and the code say the same.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { exitCodes } from '#host/commands/exit.js'
import { templates } from '#host/commands/template.js'
import { errorCodes } from '#host/errors.js'
import { Command } from '../support/command.js'

const page = await readFile(join(process.cwd(), 'docs/commands.md'), 'utf8')

/** The first column of the table under a heading. */
const column = (heading: string): string[] => {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell = '']) => cell.trim())
}

t.test('every exit code of the code is documented, and no other', async (t) => {
  const documented = column('Exit codes').filter((cell) => /^\d+$/.test(cell))
  t.same(
    documented.map(Number).sort(),
    Object.values(exitCodes)
      .map((code): number => code)
      .sort(),
  )
  for (const [code, entry] of Object.entries(errorCodes)) {
    if ('exit' in entry) t.ok(documented.includes(String(entry.exit)), code)
  }
})

t.test('every command is documented, and its help shows an example of it', async (t) => {
  const help = new Command(t, ['--help'])
  await help.ended
  const [, list = ''] = help.out.split('Commands:\n')
  const [commands = ''] = list.split('\n\n')
  const names = [...commands.matchAll(/^ {2}([a-z]+) /gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help')
  t.ok(names.length >= 13, names.join(' '))
  const [intro = ''] = page.split('## Which host')
  for (const name of names) {
    t.match(intro, new RegExp(`\`${name}\\b|, \`${name}\\b`), name)
    const command = new Command(t, [name, '--help'])
    t.same(await command.ended, { code: 0, signal: null })
    t.match(command.out, new RegExp(`Examples?:\\n(.*\\n)*? +\\$ .*millrace ${name}\\b`), name)
  }
})

t.test('the templates are those that are documented', async (t) => {
  const [, list = ''] = /Templates: (.*) \|/.exec(page) ?? []
  t.same(
    [...list.matchAll(/`([a-z]+)`/g)].map(([, name]) => name),
    templates().map(({ name }) => name),
  )
})
