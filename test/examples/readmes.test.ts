// What holds for each of the numbered examples: short, tested, and in the list.
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'

const names = (await readdir('examples')).filter((name) => /^\d/.test(name)).sort()

for (const name of names) {
  t.test(name, async (t) => {
    const lines = (await readFile(`examples/${name}/README.md`, 'utf8')).trimEnd().split('\n')
    t.ok(lines.length <= 30, `${lines.length} lines`)
    t.ok(existsSync(`examples/${name}/functions`), 'it has functions')
    t.ok(existsSync(`test/examples/${name}.test.ts`), 'it has a test')
  })
}

t.test('they are numbered from one on', async (t) => {
  const numbers = names.map((name) => Number(name.slice(0, 2)))
  t.same(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

t.test('the list has all of them, in order, and what else there is', async (t) => {
  const list = await readFile('examples/README.md', 'utf8')
  const listed = [...list.matchAll(/^\| \[([^\]]+)\]\(\1\/README\.md\)/gm)].map(([, name]) => name)
  t.same(listed, [...names, 'flights', 'systems'])
})
