// kill -9 between every two steps of opening, recovery, wipe, append, flush, store batch, swap and drain, and in the middle of each write.
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import type { HostProcess } from '#bench/host-process.js'
import { until } from '../../support/until.js'
import { type FunctionName, withTable } from './functions.js'
import { Project } from './project.js'
import type { ProjectLog } from './project-log.js'

/** What has the host come to the point. `start`: that it starts, with stores as named. */
type Cause =
  | 'fresh'
  | 'start'
  | 'behind'
  | 'lost'
  | 'spoiled'
  | 'load'
  | 'noise'
  | 'swap'
  | 'rewire'
  | 'stop'

interface Death {
  readonly point: string
  readonly causes: readonly Cause[]
  /** It may die at the n-th passage, up to this one. */
  readonly most?: number
  /** Of one of these threads; none: of any. */
  readonly threads?: readonly FunctionName[]
  /** Passed only if something happens to be there: without, the host is killed at another instant. */
  readonly isUncertain?: boolean
  /** There with this log only. */
  readonly on?: ProjectLog['kind']
}

const busy = ['totals', 'slow', 'receipts', 'pending'] as const

/** In the middle of it, and behind it: which is before the next step. */
const within = (step: string) => [`${step}:during`, `${step}:after`]
const deaths = (points: readonly string[], of: Omit<Death, 'point'>): Death[] =>
  points.map((point) => ({ point, ...of }))

const every: readonly Death[] = [
  // The log is opened, topics are made.
  ...deaths(['log/open:before', 'log/open:after'], { causes: ['start'] }),
  ...deaths(within('log/meta'), { causes: ['start'] }),
  ...deaths(within('log/topics'), { causes: ['fresh'], most: 2 }),
  ...deaths(['main/topics:during'], { causes: ['fresh'], most: 3, on: 'kafka' }),
  ...deaths(['main/topics:after'], { causes: ['start', 'swap'] }),
  // Stores and threads are opened.
  ...deaths(['main/store:after'], { causes: ['start'], most: 5 }),
  ...deaths(['thread/log:after', 'thread/store:after'], { causes: ['start'], threads: withTable }),
  // Each partition is fenced, and its table recovered.
  ...deaths(['recover/fence:after', 'recover/describe:after'], {
    causes: ['start'],
    most: 3,
    threads: withTable,
  }),
  // Not of a partition in which nothing was written yet.
  ...deaths(['recover/epoch:after'], { causes: ['start'], threads: busy, isUncertain: true }),
  ...deaths(['recover/fence:during'], { causes: ['start'], threads: withTable, on: 'kafka' }),
  ...deaths(['recover/read:after', ...within('recover/write')], {
    causes: ['behind', 'lost', 'spoiled'],
    most: 3,
    threads: busy,
  }),
  ...deaths([...within('wipe/mark'), ...within('wipe/clear'), ...within('wipe/unmark')], {
    causes: ['spoiled'],
    most: 3,
    threads: busy,
  }),
  // Requests are appended.
  ...deaths(
    ['main/append:before', ...within('log/append'), 'log/append:answering', 'main/append:after'],
    { causes: ['load'], most: 10 },
  ),
  ...deaths(['main/append:during'], { causes: ['load'], most: 10, on: 'kafka' }),
  // What was done with them is flushed.
  ...deaths(['run/read:after', 'run/commit:before', ...within('log/flush'), 'run/commit:after'], {
    causes: ['load'],
    most: 6,
  }),
  ...deaths(['run/commit:during'], { causes: ['load'], most: 6, on: 'kafka' }),
  // Or leaves ahead of that.
  ...deaths(['run/append:before', 'run/append:after'], {
    causes: ['load'],
    most: 10,
    threads: ['announce'],
  }),
  ...deaths(['run/append:during'], {
    causes: ['load'],
    most: 10,
    threads: ['announce'],
    on: 'kafka',
  }),
  ...deaths(within('run/write'), { causes: ['load'], most: 6, threads: busy }),
  // What the log keeps of it is compacted, and expires.
  ...deaths([...within('log/compaction'), ...within('log/compacted')], {
    causes: ['load'],
    most: 3,
  }),
  ...deaths(within('log/retention'), { causes: ['noise'], most: 2 }),
  // A version takes over. This one nearly always has something to flush.
  ...deaths(
    [
      'swap:ordered',
      'swap/commit:before',
      'swap/commit:after',
      ...within('swap/write'),
      'swap:answering',
    ],
    { causes: ['swap'], threads: ['slow'] },
  ),
  // A function is drained: for other inputs, or because the host stops.
  ...deaths(['drain:ordered', 'drain:answering'], {
    causes: ['rewire', 'stop'],
    threads: ['slow'],
  }),
  ...deaths(
    [
      'drain/commit:before',
      'drain/commit:after',
      ...within('drain/write'),
      ...within('log/topics'),
    ],
    { causes: ['rewire'] },
  ),
  ...deaths(['swap/commit:during'], { causes: ['swap'], threads: ['slow'], on: 'kafka' }),
  ...deaths(['drain/commit:during'], { causes: ['rewire'], on: 'kafka' }),
]

/** Below the port, in a thread that only the embedded log has. */
const isOn = ({ kind }: ProjectLog, { point, on }: Death): boolean =>
  (on ?? kind) === kind && (kind === 'embedded' || !point.startsWith('log/'))

const startCauses: readonly Cause[] = ['start', 'behind', 'lost', 'spoiled']

/** `part`: of so many, for tests that run beside each other; all of them together are all deaths. */
export async function dieAtEachStep(
  t: Test,
  log: ProjectLog,
  part: { readonly number: number; readonly of: number } = { number: 0, of: 1 },
): Promise<void> {
  const project = new Project(t, log)
  const { random } = project
  const all = every.filter((death) => isOn(log, death))
  const own = all.filter((_, index) => index % part.of === part.number)
  const chosen = own.map((death) => ({ ...death, cause: random.one(death.causes) }))
  const fresh = chosen.filter(({ cause }) => cause === 'fresh')
  const opening = random.shuffled(chosen.filter(({ cause }) => startCauses.includes(cause)))
  const running = random.shuffled(
    chosen.filter((death) => !fresh.includes(death) && !opening.includes(death)),
  )
  for (const death of fresh) await dieAtStart(t, project, death)
  await dieAtRandom(t, project)
  for (const name of withTable) project.copyStore(name)
  // What a death at the start has left is looked at by the next host, before that dies in its turn.
  while (opening.length + running.length > 0) {
    const [atStart, later] = [opening.pop(), running.pop()]
    if (atStart !== undefined) await dieAtStart(t, project, atStart)
    if (later !== undefined) await dieRunning(t, project, later)
    else await dieAtRandom(t, project)
  }
  await project.end(t)
  t.comment(`${project.account.acknowledged} requests were acknowledged`)

  const known = new Set(all.map(({ point }) => stepOf(point)))
  const unknown = [...project.passed()].filter((point) => !known.has(stepOf(point)))
  t.same(unknown, [], 'there is no step at which no host was killed')
}

interface Chosen extends Death {
  readonly cause: Cause
}

/** Without the phase: the same step in another one does the same. */
const stepOf = (point: string): string =>
  point.replace(/^(recover|run|swap|drain)\//, '').replace(/:.*/, '')

async function dieAtStart(t: Test, project: Project, death: Chosen): Promise<void> {
  const thread = arm(project, death)
  const name = thread ?? 'totals'
  if (death.cause === 'behind') project.ageStore(name)
  if (death.cause === 'lost') project.dropStore(name)
  if (death.cause === 'spoiled') await project.spoilStore(name)
  // It may die before it listens.
  const host = await project.start().catch(() => undefined)
  await hasDied(t, project, death, host)
}

async function dieRunning(t: Test, project: Project, death: Chosen): Promise<void> {
  const host = await soundHost(t, project, death.point)
  const load = project.load(host)
  let isGone = false
  const gone = host.gone.then(() => {
    isGone = true
  })
  await until('there is load', () => load.acknowledged > 3)
  const name = arm(project, death) ?? 'totals'
  if (death.cause === 'stop') process.kill(host.pid, 'SIGTERM')
  while (!isGone && death.cause !== 'load' && death.cause !== 'stop') {
    if (death.cause === 'noise') {
      await project.noise(host).catch(() => {})
      continue
    }
    if (death.cause === 'swap') project.save(name)
    else project.rewire()
    // Saved again and again it would never come to have anything to flush.
    const handling = project.handling(host, death.cause === 'swap' ? name : 'slow')
    await Promise.race([gone, handling.catch(() => gone)])
  }
  await hasDied(t, project, death, host)
  await load.end()
}

async function dieAtRandom(t: Test, project: Project): Promise<void> {
  const host = await soundHost(t, project, 'a random instant')
  const load = project.load(host)
  await until('there is load', () => load.acknowledged > 10)
  await host.kill()
  await load.end()
}

/** Started, and seen to be exactly what follows from the account. */
async function soundHost(t: Test, project: Project, before: string): Promise<HostProcess> {
  const host = await project.start()
  const wrong = await project.differences(host)
  if (wrong.length > 0) t.fail(`wrong before ${before}`, { wrong })
  return host
}

function arm(project: Project, { point, most = 1, threads }: Chosen): FunctionName | undefined {
  const thread = threads === undefined ? undefined : project.random.one(threads)
  const passage = project.random.upTo(most)
  project.arm({ point, passage, action: 'kill', ...(thread === undefined ? {} : { thread }) })
  return thread
}

async function hasDied(
  t: Test,
  project: Project,
  { point, cause, isUncertain = false }: Chosen,
  host: HostProcess | undefined,
): Promise<void> {
  // Left alone, the timer would keep the test's process for so long.
  const died = new AbortController()
  const { signal } = died
  const isLate = await Promise.race([host?.gone, pause(60_000, true, { signal })])
  died.abort()
  if (isUncertain && project.isArmed) t.comment(`it did not come to ${point} (${cause})`)
  else t.notOk(project.isArmed, `it dies at ${point} (${cause})`)
  if (isLate === true) await host?.kill()
  project.disarm()
}
