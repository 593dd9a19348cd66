// Two hosts of the same groups under load: one dies and comes back, the other is stopped past its session and goes on as a zombie.
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { HostProcess } from '#bench/host-process.js'
import type { Output } from '../../test/host/crash/account.js'
import { outputs } from '../../test/host/crash/functions.js'
import { allPartitions, Project, viewPartitions } from '../../test/host/crash/project.js'
import { brokerAddress } from '../../test/support/kafka/shared.js'
import { runTool } from '../../test/support/kafka/tool.js'
import { until } from '../../test/support/until.js'
import { kafkaLog } from './kafka.js'

const rounds = 1
const address = await brokerAddress(t)

/** What a client that knows nothing of the host finds in a stream. */
async function consumed(namespace: string, stream: string): Promise<Output> {
  const printed = await runTool(address, 'kafka-console-consumer', [
    ...['--topic', `${namespace}${stream}`, '--from-beginning', '--timeout-ms', '8000'],
    ...['--consumer-property', 'isolation.level=read_committed'],
    ...['--property', 'print.key=true', '--property', 'key.separator= '],
  ])
  const kept = printed.split('\n').filter((line) => line.startsWith('b'))
  return { stream, kept, ever: kept.length }
}

t.test(
  'a host that dies, and one that wakes up after its time',
  { timeout: 580_000 },
  async (t) => {
    const log = await kafkaLog(t)
    const project = new Project(t, log, { hasZombies: true })
    const { account, random } = project
    let mortal = await project.start('mortal')
    const sleeper = await project.start('sleeper')
    const open = (host: HostProcess) => project.openPartitions(host)
    const hasAll = (host: HostProcess, who: string) =>
      until(`${who} has all partitions`, async () => (await open(host)) === allPartitions)
    const bothRun = () =>
      until('both run, and share all partitions', async () => {
        const [one, other] = [await open(mortal), await open(sleeper)]
        return one > 0 && other > 0 && one + other === allPartitions + viewPartitions
      })
    await bothRun()
    const load = project.load(sleeper)
    let zombies = 0
    for (let round = 1; round <= rounds; round += 1) {
      const doomed = project.load(mortal)
      await until('the one that dies answers', () => doomed.acknowledged > 3)
      await pause(random.upTo(500))
      await mortal.kill()
      await doomed.end()
      await hasAll(sleeper, 'the other')
      mortal = await project.start('mortal')
      await bothRun()

      const awake = project.load(mortal)
      const before = load.acknowledged
      await until('both answer', () => awake.acknowledged > 3 && load.acknowledged > before)
      await pause(random.upTo(500))
      process.kill(sleeper.pid, 'SIGSTOP')
      await hasAll(mortal, 'the one that is awake')
      // What it believed to have is another's by now, and has gone on.
      process.kill(sleeper.pid, 'SIGCONT')
      await bothRun()
      zombies += 1
      await awake.end()
    }
    await load.end()
    for (const host of [mortal, sleeper]) await host[Symbol.asyncDispose]()
    t.equal(zombies, rounds)
    // By a third, whose tables come from the log alone.
    await project.end(t)
    t.comment(`${account.acknowledged} requests were acknowledged`)
    const found: Output[] = []
    for (const stream of outputs) found.push(await consumed(log.namespace, stream))
    t.same(account.outputDifferences(found), [], 'so does a consumer of Kafka’s own see them')
  },
)
