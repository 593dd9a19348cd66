// A function's thread that dies in the middle of a flush: its totals stay exact, and the rest of the host does not notice.
import type { Test } from 'tap'
import { until } from '../../support/until.js'
import type { FunctionName } from './functions.js'
import { Project } from './project.js'
import type { ProjectLog } from './project-log.js'

/** Each thread dies a few times only: the pause before it is started anew doubles. */
const deaths: readonly (readonly [FunctionName, string])[] = [
  ['totals', 'run/commit:before'],
  ['totals', 'run/commit:during'],
  ['totals', 'run/commit:after'],
  ['slow', 'run/commit:during'],
  ['slow', 'run/write:during'],
  ['slow', 'run/write:after'],
  ['copy', 'run/commit:during'],
  ['copy', 'run/commit:after'],
  ['announce', 'run/append:during'],
  ['announce', 'run/append:after'],
  ['receipts', 'run/commit:during'],
  ['receipts', 'run/write:during'],
  ['pending', 'recover/write:during'],
  ['pending', 'run/commit:after'],
  ['pending', 'run/write:during'],
]

export async function endThreads(t: Test, log: ProjectLog): Promise<void> {
  const project = new Project(t, log)
  const host = await project.start()
  const load = project.load(host)
  for (const [thread, point] of deaths) {
    const started = load.acknowledged
    // Nobody recovers but a thread that has just died; where there is nothing to replay, each partition is written to once.
    const isRecovery = point.startsWith('recover/')
    const passage = project.random.upTo(isRecovery ? 3 : 5)
    project.arm({ point, thread, passage, action: 'exit' })
    if (isRecovery) await project.restart(host, thread)
    await until(`${thread} has died at ${point}`, () => !project.isArmed)
    await until('requests are answered', () => load.acknowledged > started)
    await until(`${thread} runs again`, () => project.isRunning(host, thread))
  }
  await load.end()
  t.same(load.refused, [], 'no request noticed')
  await project.end(t, host)
  t.ok(load.acknowledged > deaths.length, `${load.acknowledged} requests were acknowledged`)
}
