// All functions of a host, when one of them has killed it before, or the log is closed for a while.
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { Registry } from '#host/functions/registry.js'
import { createLogger } from '#host/logger.js'
import { hold } from '../../support/hold.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registered, registryOptions } from './project.js'

const counter = (step: number) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + ${step}) } },
})`

/** A registry with the function `counter`, whose first version is quarantined or not. */
async function started(t: Test, { isQuarantined }: { readonly isQuarantined: boolean }) {
  const project = createProject(t)
  const { version } = await project.bundle('counter.ts', counter(1))
  const log = await projectLog(t, project)
  const released: string[] = []
  const quarantined = { name: 'counter', version, deaths: 3, isAtLoad: false }
  const registry = new Registry({
    ...registryOptions({ project, log, logger: createLogger({ level: 'silent', format: 'json' }) }),
    supervision: {
      quarantined: isQuarantined ? [quarantined] : [],
      suspected: [],
      vitals: () => {},
      released: (name) => void released.push(name),
    },
  })
  t.teardown(async () => {
    await registry[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  let problem: HostError | undefined
  const catalog = new LiveCatalog(registry, log, () => problem)
  t.teardown(() => catalog[Symbol.dispose]())
  await registry.start({ watch: false })
  const is = (state: string) =>
    until(`it is ${state}`, async () => {
      const status = await catalog.function('counter')
      return status?.state === state ? status : undefined
    })
  const save = async (step: number) => {
    await project.write('functions/counter.ts', counter(step))
    await registry.reload()
  }
  const setProblem = (error: HostError) => {
    problem = error
  }
  return { registry, log, catalog, version, released, is, save, setProblem }
}

t.test('a quarantined version that is saved again over another one is refused', async (t) => {
  const { registry, catalog, version, released, is, save } = await started(t, {
    isQuarantined: true,
  })
  t.match(await is('halted'), { version, error: { code: 'QUARANTINED' } })
  await save(2)
  const sound = await is('running')
  t.match(sound, { error: null })
  await save(1)
  t.match(await catalog.function('counter'), {
    state: 'running',
    version: sound.version,
    error: { code: 'QUARANTINED' },
  })
  await registry.operate('counter', 'restart')
  t.match(await catalog.function('counter'), { version, error: null }, 'until a person says so')
  t.same(released, ['counter'])
})

t.test('what is shown of a function is of one moment, however long its log takes', async (t) => {
  const { log, catalog, version, is, save } = await started(t, { isQuarantined: true })
  await is('halted')
  const { held, release } = hold()
  const describe = log.describe.bind(log)
  log.describe = async (topics) => {
    await held
    return await describe(topics)
  }
  const shown = catalog.function('counter')
  log.describe = describe
  await save(2)
  await is('running')
  release()
  const status = await shown
  t.not(status?.version, version)
  t.match(status, { state: 'running', swaps: 1, error: null }, 'after the save, all of it')
})

t.test('while the log is closed, functions are shown as far as they are known', async (t) => {
  const { log, catalog, is, setProblem } = await started(t, { isQuarantined: false })
  await is('running')
  const error = new HostError('DISK_FULL', 'no room')
  log.describe = () => Promise.reject(error)
  await t.rejects(catalog.functions(), { code: 'DISK_FULL' }, 'no other failure is hidden')
  setProblem(error)
  const unknown = { position: 0, end: null, lag: null }
  t.match(await catalog.functions(), [
    {
      name: 'counter',
      lag: null,
      partitions: [{ state: 'running', inputs: [unknown] }],
      error: { code: 'DISK_FULL' },
    },
  ])
})

t.test('suspects come one after another, and nobody waits for them', async (t) => {
  const project = createProject(t)
  for (const name of ['sound', 'first', 'second']) {
    await project.write(`functions/${name}.ts`, counter(1))
  }
  const log = await projectLog(t, project)
  const blamed: string[] = []
  const registry = new Registry({
    ...registryOptions({ project, log, logger: createLogger({ level: 'silent', format: 'json' }) }),
    supervision: {
      quarantined: [],
      suspected: ['first', 'second'],
      vitals: (functions) =>
        void blamed.push(...functions.filter((each) => each.isBusy).map(({ name }) => name)),
      released: () => {},
    },
  })
  const catalog = new LiveCatalog(registry, log)
  t.teardown(async () => {
    catalog[Symbol.dispose]()
    await registry[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  await registry.start({ watch: false })
  t.same(
    [...catalog.states().keys()].sort(),
    ['first', 'second', 'sound'],
    'all of them are known, and asked after by a probe of readiness',
  )
  t.equal(catalog.states().get('second'), 'loading')
  blamed.length = 0
  await until('all run', () => [...catalog.states().values()].every((state) => state === 'running'))
  t.same([...new Set(blamed)], ['first', 'second'], 'each is blamed while it is tried')
})

t.test('a start does not wait for a log that is closed meanwhile', async (t) => {
  const project = createProject(t)
  await project.write('functions/counter.ts', counter(1))
  const log = await projectLog(t, project)
  const logger = createLogger({ level: 'silent', format: 'json' })
  const { registry, catalog } = registered(t, { project, log, logger })
  await registry.releaseLog(new HostError('DISK_FULL', 'no room'))
  await registry.start({ watch: false })
  t.equal(catalog.states().get('counter'), 'loading')
  registry.reclaimLog()
  await until('it runs', () => catalog.states().get('counter') === 'running')
})

t.test('a function that cannot be loaded while no broker answers is loading still', async (t) => {
  const project = createProject(t)
  await project.write('functions/counter.ts', counter(1))
  const log = await projectLog(t, project)
  let isAway = true
  const away = async () => {
    throw new HostError('BROKER_UNAVAILABLE', 'Kafka cannot be asked')
  }
  const asked = new Proxy(log, {
    get(target, name) {
      if (isAway && (name === 'describe' || name === 'ensure')) return away
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const logger = createLogger({ level: 'silent', format: 'json' })
  const registry = new Registry(registryOptions({ project, log: asked, logger }))
  const catalog = new LiveCatalog(registry, log)
  t.teardown(async () => {
    catalog[Symbol.dispose]()
    await registry[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  await registry.start({ watch: false })
  const [status] = await catalog.functions()
  t.match(status, { state: 'loading', error: { code: 'BROKER_UNAVAILABLE' } })
  isAway = false
  await until('it runs', () => catalog.states().get('counter') === 'running')
})
