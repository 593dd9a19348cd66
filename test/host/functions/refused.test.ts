// A function whose group runs with other edges: what it tells the group, what is shown of it, what is read meanwhile, and that it takes over.
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import type { Assignment, GroupEdges, JoinOptions, Refusal } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registered } from './project.js'

const count = (of: string, step = 1) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  table: json<number>(),
  ${of},
  on: { clicks: (ctx) => ctx.set((ctx.get() ?? 0) + ${step}) },
})`
const clicks = 'inputs: { clicks: json<number>() }'

const edges: GroupEdges = {
  inputs: ['clicks'],
  joins: [],
  lookups: [],
  table: 'counter-table',
  hasher: 'murmur2',
  partitions: 2,
}

const refusedFor = (what: string, by?: GroupEdges): Refusal => ({
  error: new HostError('EDGES_DIFFER', what),
  ...(by && { edges: by }),
})
const none = { partitions: [], kept: [], standbys: [] }

/** A function `counter` whose group does what the test says. */
async function joinedCounter(t: Test, source: string, first: Omit<Assignment, 'epoch'>) {
  const project = createProject(t)
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    format: 'json',
    stream: { write: (text) => void lines.push(text) },
  })
  const log = await projectLog(t, project)
  const joins: JoinOptions[] = []
  let epoch = 0
  const assign = async (assignment: Omit<Assignment, 'epoch'>) => {
    epoch += 1
    await joins.at(-1)?.assigned({ epoch, ...assignment })
  }
  log.join = async (options) => {
    joins.push(options)
    await assign(first)
    return { members: () => [], holds: () => true, [Symbol.asyncDispose]: async () => {} }
  }
  const { registry, catalog } = registered(t, { project, log, logger })
  const save = async (text: string) => void (await project.write('functions/counter.ts', text))
  await save(source)
  await registry.start({ watch: true })
  const untilIs = async (state: string) => {
    await until(`it is ${state}`, () => catalog.states().get('counter') === state)
    return catalog.condition('counter')
  }
  return { log, lines, joins, assign, catalog, save, untilIs }
}

t.test('it is halted with what differs, and takes over by itself', async (t) => {
  const refused = refusedFor('inputs: clicks, taps here; clicks there', edges)
  const { log, lines, joins, assign, catalog, untilIs } = await joinedCounter(t, count(clicks, 2), {
    ...none,
    refused,
  })
  const message = 'inputs: clicks, taps here; clicks there'
  const shown = await untilIs('halted')
  t.match(shown, { error: { code: 'EDGES_DIFFER', message }, partitions: [] })
  await assign({ ...none, refused: refusedFor(message, edges) })
  t.same(catalog.condition('counter'), shown, 'shared out again, nothing has changed')
  const told = () => lines.filter((line) => line.includes(message)).length
  t.equal(told(), 1, 'it is told once')
  const record = { topic: 'clicks', key: Buffer.from('ada'), value: Buffer.from('1') }
  await log.append([{ ...record, partition: 0, timestamp: 1 }])

  await joins.at(-1)?.revoked(2)
  await assign({ ...none, partitions: [0, 1] })
  t.match(await untilIs('running'), { error: null, partitions: [{}, {}] })
  await until('it has counted', async () => {
    const value = await catalog.table('counter')?.view.get(0, record.key)
    return value?.toString() === '2'
  })
  await joins.at(-1)?.revoked(3)
  await assign({ ...none, refused })
  t.match(await untilIs('halted'), { error: { code: 'EDGES_DIFFER' }, partitions: [] })
  t.equal(told(), 2)
})

t.test('it tells its group its edges, since when, and the version that it runs', async (t) => {
  const { joins, save, untilIs, catalog } = await joinedCounter(
    t,
    count(`inputs: { taps: json<number>(), clicks: json<number>() },
  loop: json<number>(), onLoop() {},
  joins: { pages: json<number>(), books: json<number>() },
  lookups: { users: topicTable('users-table', json<number>(), { hasher: 'fnv1a' }) }`)
      .replace('import { ', 'import { topicTable, ')
      .replace('on: {', 'on: { taps() {},'),
    { ...none, partitions: [0, 1] },
  )
  await untilIs('recovering')
  const [first] = joins
  t.same(first?.runs?.edges, {
    ...edges,
    inputs: ['clicks', 'counter-loop', 'taps'],
    joins: ['books-table', 'pages-table'],
    lookups: ['users-table (fnv1a)'],
  })
  await save(count(clicks))
  await untilIs('running')
  const [, second, ...more] = joins
  t.same([second?.runs?.edges, more], [edges, []])
  t.ok((second?.runs?.since ?? 0) >= (first?.runs?.since ?? 0))
  const version = second?.runs?.version()
  t.equal(version, catalog.condition('counter')?.version)
  await save(count(`${clicks}, outputs: { seen: json<number>() }`, 3))
  await until('another version runs', () => catalog.condition('counter')?.version !== version)
  t.equal(joins.length, 2, 'outputs and code are no edges')
  t.equal(second?.runs?.version(), catalog.condition('counter')?.version)
  await save(count(`${clicks}, hasher: 'fnv1a'`))
  await until('it joins anew', () => joins.length === 3)
  t.match(joins.at(-1)?.runs?.edges, { hasher: 'fnv1a' })
})

t.test('keys are looked for where those have them who run the group', async (t) => {
  const by: GroupEdges = { ...edges, partitions: 8, hasher: 'fnv1a' }
  const { assign, catalog, untilIs } = await joinedCounter(t, count(clicks), {
    ...none,
    refused: refusedFor('hasher and partitions', by),
  })
  await untilIs('halted')
  t.match(catalog.table('counter'), { partitions: 8, hasher: 'fnv1a' })
  await assign({ ...none, partitions: [0, 1] })
  t.match(catalog.table('counter'), { partitions: 2, hasher: 'murmur2' })
})

t.test('a copy of the whole table is kept if it is the table of those who run it', async (t) => {
  const { assign, catalog, untilIs } = await joinedCounter(
    t,
    count(`${clicks}, views: 'replicate'`),
    { ...none, refused: refusedFor('joins', { ...edges, joins: ['users-table'] }) },
  )
  await untilIs('halted')
  const table = () => catalog.table('counter')
  await until('it is copied', () => table()?.isServing(0) === true && !table()?.isStale())
  t.match(catalog.condition('counter'), { state: 'halted', error: { code: 'EDGES_DIFFER' } })
  await assign({ ...none, refused: refusedFor('table', { ...edges, table: 'others' }) })
  t.equal(table()?.isServing(0), false)
  t.same(catalog.condition('counter')?.partitions, [])
})
