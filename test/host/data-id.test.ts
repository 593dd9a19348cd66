import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dataId } from '#host/data-id.js'
import { testFolder } from '../support/folder.js'

t.test('a folder has the same id again, and no other folder has it', async (t) => {
  const root = testFolder(t, { one: {}, other: {} })
  const [one, other] = [join(root, 'one'), join(root, 'other')]
  const first = await dataId(one)
  t.match(first, { id: /^[0-9a-f]{12}$/, isNew: true })
  t.strictSame(await dataId(one), { id: first.id, isNew: false })
  t.not((await dataId(other)).id, first.id)
})

t.test('an id that is damaged is none', async (t) => {
  const folder = testFolder(t, { id: '12ab' })
  const made = await dataId(folder)
  t.match(made, { id: /^[0-9a-f]{12}$/, isNew: true })
  t.strictSame(await dataId(folder), { id: made.id, isNew: false })
})

t.test('a folder that takes none is named', async (t) => {
  const folder = testFolder(t, {})
  // In the way of what is written.
  mkdirSync(join(folder, 'id.new'))
  await t.rejects(dataId(folder), { code: 'DATA_NOT_WRITABLE', message: /id cannot be written/ })
  rmSync(join(folder, 'id.new'), { recursive: true })
  writeFileSync(join(folder, 'id'), '')
  t.match(await dataId(folder), { isNew: true })
})
