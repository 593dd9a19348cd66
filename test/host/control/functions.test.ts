// The control topic and the functions of a host: none is started before it is known what was asked of it.
import t, { type Test } from 'tap'
import { Control } from '#host/control/control.js'
import { controlTopic, type Wish } from '#host/control/wish.js'
import { HostError } from '#host/errors.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { Registry } from '#host/functions/registry.js'
import type { Log } from '#host/log/log.js'
import { createLogger } from '#host/logger.js'
import { until } from '../../support/until.js'
import { createProject, type Project, projectLog, registryOptions } from '../functions/project.js'

const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + 1) } },
})`

async function prepared(t: Test) {
  const project = createProject(t)
  await project.write('functions/counter.ts', counter)
  const log = await projectLog(t, project)
  t.teardown(() => log[Symbol.asyncDispose]())
  return { project, log }
}

/** A host's functions, under a topic that they follow. */
async function started(project: Project, log: Log) {
  const logger = createLogger({ level: 'silent', format: 'json' })
  const control = new Control({
    log,
    namespace: '',
    instance: 'one',
    logger,
    former: project.path('paused.json'),
    times: { retryMs: 5, takeOverMs: 0 },
  })
  const registry = new Registry({
    ...registryOptions({ project, log, logger }),
    paused: control.pauses,
    ready: () => control.ready(),
  })
  const catalog = new LiveCatalog(registry, log)
  control.start(registry)
  const starting = registry.start({ watch: false })
  return {
    control,
    starting,
    is: (state: string, code?: string) =>
      until(`it is ${state}`, async () => {
        const status = await catalog.function('counter')
        return status?.state === state && status.error?.code === code ? status : undefined
      }),
    async stop() {
      await control[Symbol.asyncDispose]()
      catalog[Symbol.dispose]()
      await registry[Symbol.asyncDispose]()
    },
  }
}

/** As an instance that is not there any more has said it. */
async function said(log: Log, wish: Wish): Promise<void> {
  const topic = controlTopic('')
  await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
  const [key, value] = [`${wish.kind} ${wish.function}`, JSON.stringify(wish)].map(Buffer.from)
  await log.append([{ topic, partition: 0, timestamp: 0, key: key ?? null, value: value ?? null }])
}

const saying = { function: 'counter', id: '1', at: '2030-01-01T00:00:00.000Z', by: 'dead' }

t.test('what was paused elsewhere comes paused, and is resumed', async (t) => {
  const { project, log } = await prepared(t)
  await said(log, { ...saying, kind: 'pause', wish: 'pause' })
  const host = await started(project, log)
  await host.is('paused')
  t.equal(await host.control.operate('counter', 'resume'), 'all')
  await host.is('running')
  await host.control.operate('counter', 'pause')
  await host.stop()
  const next = await started(project, log)
  await next.is('paused')
  await next.stop()
})

t.test('a reset that nobody has finished is finished before it runs', async (t) => {
  const { project, log } = await prepared(t)
  const first = await started(project, log)
  await first.is('running')
  await first.stop()
  const names = { group: 'counter', table: 'counter-table', loop: 'counter-loop' }
  const { id = '' } = (await log.describe([names.table])).get(names.table) ?? {}
  const topics = [{ name: names.table, id }]
  await said(log, { ...saying, kind: 'reset', phase: 'stop', names, topics })
  const host = await started(project, log)
  await host.is('running')
  t.not((await log.describe([names.table])).get(names.table)?.id, id, 'its table is another')
  t.match(await host.control.reset('counter'), { topics: ['counter-table'], asked: 'all' })
  await host.is('running')
  await host.stop()
})

t.test('as long as the topic cannot be made, no function runs, and each says why', async (t) => {
  const { project, log } = await prepared(t)
  const { ensure } = log
  log.ensure = async () => {
    throw new HostError('UNKNOWN_TOPIC', 'make it with kafka-topics.sh')
  }
  const host = await started(project, log)
  await host.is('halted', 'UNKNOWN_TOPIC')
  log.ensure = ensure.bind(log)
  await host.is('running')
  await host.starting
  await host.stop()
})
