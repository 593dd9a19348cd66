// What is told of appends is true, whatever befalls the brokers: they lose answers, their places as leaders, and connections.
import t from 'tap'
import { KafkaAppender } from '#host/log/kafka/appender.js'
import { Choice } from '../../../support/choice.js'
import { inVirtualTime, type VirtualTime } from '../../../support/virtual-time.js'
import { Account } from './modelled/account.js'
import { ModelledBrokers } from './modelled/brokers.js'
import { AppendSource, type Call, call } from './modelled/calls.js'

const seeds = Array.from({ length: 24 }, (_, i) => i + 1)
const steps = 60
/** Everything that was begun is over by then. */
const limitMs = 10_000
const maxBatchBytes = 40_000
/** Of a topic that takes less: each record, but not each batch. */
const smallBatchBytes = 26_000

const outcomes = new Map<string, number>()
const answers = new Set<string>()

for (const seed of seeds) {
  t.test(`what is told of appends is true, seed ${seed}`, async (t) => {
    const run = await inVirtualTime((time) => appendUnderTrouble(seed, time))
    const account = new Account([...run.calls, ...run.last], run.brokers.partitions)
    const none = (found: readonly unknown[], what: string) =>
      t.same(found, [], `seed ${seed}: ${what}`)
    none(
      account.unanswered(),
      'each append is acknowledged, or is told whether it is perhaps there',
    )
    none(account.withoutOffset(), 'no acknowledged record is without an offset')
    none(account.notWhereTold(), 'an acknowledged record is at its offset')
    none(account.outOfOrder(), 'what is there is in the order in which it was appended')
    none(account.repeated(), 'nothing is there twice')
    none(account.toldNotToBeThere(), 'what was told not to be there is not')
    none(account.inParts(), 'an atomic append is there wholly, or not at all')
    const last = run.last.map(({ outcome }) => outcome.kind)
    const isOver = `seed ${seed}: it goes on when the trouble is over`
    t.same(last, ['acknowledged', 'acknowledged', 'acknowledged'], isOver)
    for (const { outcome } of run.calls) {
      outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1)
    }
    for (const answer of run.brokers.answers) answers.add(answer)
  })
}

t.test('each outcome was among them, and each answer', (t) => {
  for (const kind of ['acknowledged', 'perhaps written', 'not written']) {
    const count = outcomes.get(kind) ?? 0
    t.ok(count >= 10 * seeds.length, `${count} were ${kind}`)
  }
  t.same([...answers].sort(), [
    // Of what was late.
    'INVALID_PRODUCER_EPOCH',
    'MESSAGE_TOO_LARGE',
    'NONE',
    'NOT_ENOUGH_REPLICAS',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'NOT_LEADER_OR_FOLLOWER',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'REQUEST_TIMED_OUT',
    'UNKNOWN_TOPIC_OR_PARTITION',
  ])
  t.end()
})

interface Run {
  readonly brokers: ModelledBrokers
  readonly calls: readonly Call[]
  /** To each partition one, when the trouble was over. */
  readonly last: readonly Call[]
}

async function appendUnderTrouble(seed: number, time: VirtualTime): Promise<Run> {
  const choice = new Choice(seed)
  await using brokers = new ModelledBrokers(choice, choice.one([smallBatchBytes, maxBatchBytes]))
  const deadlineMs = choice.between(60, 160)
  const settings = { compression: 'none', deadlineMs, maxBatchBytes } as const
  const appender = new KafkaAppender(brokers, { name: 'model', settings })
  const partitions = brokers.partitions.map(({ partition }) => partition)
  const appends = new AppendSource(choice, partitions)
  const calls: Call[] = []
  for (let step = 0; step < steps; step++) {
    for (let left = choice.between(0, 4); left > 0; left--) {
      calls.push(call(appender, appends.next()))
    }
    brokers.elect()
    await time.pass(choice.between(0, 6))
  }
  brokers.heal()
  await time.passAll(limitMs)
  // It may find first that others lead.
  calls.push(...appends.toEach().map((one) => call(appender, one)))
  await time.passAll(limitMs)
  const last = appends.toEach().map((one) => call(appender, one))
  await time.passAll(limitMs)
  return { brokers, calls, last }
}
