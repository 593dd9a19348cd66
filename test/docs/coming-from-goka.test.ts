// Each defect of Goka that the page names has a test, under the title that it gives.
import { readFileSync } from 'node:fs'
import t from 'tap'

const page = readFileSync('docs/coming-from-goka.md', 'utf8')
const [, rest = ''] = page.split('## What Goka does wrong')
const [section = ''] = rest.split(/^## /m)
const rows = [...section.matchAll(/^\| (.+) \| `(.+?)`: (.+) \|$/gm)]

t.test('the tests that show that a defect is not here exist', async (t) => {
  t.equal(rows.length, section.match(/^\| (?!Goka|-)/gm)?.length ?? 0, 'each row names a test')
  t.ok(rows.length >= 10)
  for (const [, defect, file = '', title = ''] of rows) {
    const titles = readFileSync(file, 'utf8').replaceAll('’', "'")
    t.ok(titles.includes(title.replaceAll('’', "'")), `${defect}: ${file}, ${title}`)
  }
})
