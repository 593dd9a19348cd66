// What the README shows is what runs, in the checkout and in a new project.
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { functionFiles } from '#host/commands/template.js'

const readme = await readFile('README.md', 'utf8')
const listings = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text = '']) => text)

t.test('its function is that of a new project and that of the checkout', async (t) => {
  const [file] = functionFiles('count', 'click-count')
  t.equal(await readFile('functions/click-count.ts', 'utf8'), file?.text)
  t.equal(file?.text.replace(/^(\/\/.*\n)+/, ''), listings[0])
})

t.test('the pictures show that function', async (t) => {
  for (const name of ['broken', 'mended', 'dev']) {
    const picture = await readFile(`docs/images/${name}.svg`, 'utf8')
    t.match(picture, /npx millrace emit clicks alice/, name)
    t.match(picture, /"lastPage":"\/home"/, name)
  }
})

t.test('it has no more than 200 lines', async (t) => {
  t.ok(readme.split('\n').length <= 201)
})
