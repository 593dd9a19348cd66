// kill -9 at random instants under load: what was acknowledged counts once, what was not counts wholly or not at all.
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { names } from './functions.js'
import { Project, type ProjectOptions } from './project.js'
import type { ProjectLog } from './project-log.js'

export async function dieAtInstants(
  t: Test,
  log: ProjectLog,
  {
    kills,
    maxLifeMs,
    stores = {},
  }: Pick<ProjectOptions, 'stores'> & { readonly kills: number; readonly maxLifeMs: number },
): Promise<void> {
  const project = new Project(t, log, { stores })
  const { account, random } = project
  for (let kill = 1; kill <= kills; kill += 1) {
    const host = await project.start()
    const wrong = await project.differences(host)
    if (wrong.length > 0) t.fail(`wrong before kill ${kill}`, { wrong })
    const load = project.load(host)
    const isSaved = random.happens(0.5)
    if (isSaved) project.save(random.one(names))
    await pause(random.upTo(maxLifeMs))
    await host.kill()
    await load.end()
  }
  await project.end(t)
  t.ok(account.acknowledged > kills, `${account.acknowledged} requests were acknowledged`)
}
