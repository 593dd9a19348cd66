// Each behaviour and each defect of Goka for which the page names a test has it, under the title that it gives.
import { readFileSync } from 'node:fs'
import t from 'tap'

const page = readFileSync('docs/coming-from-goka.md', 'utf8')

for (const [heading, least] of [
  ["What Goka's system tests show", 23],
  ['What Goka does wrong', 10],
] as const) {
  t.test(`${heading}: the tests exist`, async (t) => {
    const [, rest = ''] = page.split(`## ${heading}`)
    const [section = ''] = rest.split(/^## /m)
    const rows = [...section.matchAll(/^\| (.+) \| `(.+?)`: (.+) \|$/gm)]
    const lines = section.match(/^\| (?!Goka|behaviour|-)/gm)
    t.equal(rows.length, lines?.length ?? 0, 'each row names a test')
    t.ok(rows.length >= least, `${rows.length} rows`)
    for (const [, what, file = '', title = ''] of rows) {
      const titles = readFileSync(file, 'utf8').replaceAll('’', "'")
      t.ok(titles.includes(title.replaceAll('’', "'")), `${what}: ${file}, ${title}`)
    }
  })
}
