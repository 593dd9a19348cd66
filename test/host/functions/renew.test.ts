// A view whose topic is another than it was begins anew, whatever else befalls it meanwhile.
import t, { type Test } from 'tap'
import type { Log } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registered } from './project.js'

const view = (more = '') => `
import { defineView, json } from 'millrace'
export default defineView({ table: 'prices', codec: json<number>(), ${more} })`

const make = (log: Log, partitions: number) =>
  log.ensure([{ name: 'prices', kind: 'table', partitions }])

/** With the view `shown` of a topic of two partitions. */
async function started(t: Test, before: (log: Log) => void = () => {}) {
  const project = createProject(t)
  await project.write('functions/shown.ts', view())
  const log = await projectLog(t, project)
  await make(log, 2)
  before(log)
  const lines: string[] = []
  const stream = { write: (text: string) => void lines.push(text) }
  const logger = createLogger({ level: 'info', format: 'json', stream })
  const { registry, catalog } = registered(t, { project, log, logger })
  await registry.start({ watch: false })
  const runs = (partitions: number) =>
    until(`it runs with ${partitions} partitions`, () => {
      const now = catalog.condition('shown')
      const isIt = now?.state === 'running' && now.partitions.length === partitions
      return isIt ? now : undefined
    })
  const save = async (text: string) => {
    await project.write('functions/shown.ts', text)
    await registry.reload()
  }
  return { registry, catalog, log, lines, runs, save }
}

t.test('the code that runs, if the last save was refused', async (t) => {
  const { catalog, log, runs, save } = await started(t)
  const { version } = await runs(2)
  await save(view('stored: 7'))
  t.match(catalog.condition('shown'), { version, error: { code: 'BAD_DEFINITION' } })
  await log.remove(['prices'])
  await make(log, 3)
  t.match(await runs(3), { version, error: { code: 'BAD_DEFINITION' } })
  await save(view('revision: 2'))
  t.match(await runs(3), { error: null })
})

t.test('once the topic is there again', async (t) => {
  const { catalog, log, runs } = await started(t)
  await runs(2)
  const describe = log.describe.bind(log)
  let isGone = false
  log.describe = async (topics) => (isGone ? new Map() : await describe(topics))
  await log.remove(['prices'])
  isGone = true
  await make(log, 3)
  await until('it waits', () => catalog.condition('shown')?.error?.code === 'RECOVERING')
  isGone = false
  t.match(await runs(3), { error: null })
})

t.test('though its end has failed', async (t) => {
  const { registry, log, lines, runs } = await started(t)
  await runs(2)
  const cell = registry.entries.get('shown')?.cell
  if (cell === undefined) throw new Error('there is no cell')
  const dispose = cell[Symbol.asyncDispose].bind(cell)
  let ends = 0
  cell[Symbol.asyncDispose] = async () => {
    ends += 1
    if (ends === 1) throw new Error('the disk is on fire')
    await dispose()
  }
  await log.remove(['prices'])
  await make(log, 3)
  t.match(await runs(3), { error: null })
  t.ok(lines.some((line) => /cannot begin anew yet.*the disk is on fire/.test(line)))
})

for (const [what, partitions] of [
  ['gone', undefined],
  ['another', 3],
] as const) {
  t.test(`its topic is ${what} by the time that it is joined`, async (t) => {
    const { runs } = await started(t, (log) => {
      const describe = log.describe.bind(log)
      let looks = 0
      log.describe = async (topics) => {
        looks += 1
        if (looks !== 2) return await describe(topics)
        if (partitions === undefined) return new Map()
        await log.remove(['prices'])
        await make(log, partitions)
        return await describe(topics)
      }
    })
    t.match(await runs(partitions ?? 2), { error: null })
  })
}
