// kill -9 at random instants under load: what was acknowledged counts once, what was not counts wholly or not at all.
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { names } from './functions.js'
import { Project } from './project.js'

const kills = 50
const maxLifeMs = 400

t.test('a host that is killed at random instants', { timeout: 580_000 }, async (t) => {
  const project = new Project(t)
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
})
