// Members of a group on a live broker: who gets what, in which order it is given up, and what becomes of one that is not heard of.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Brokers } from '#host/log/kafka/brokers.js'
import { OwnMembers } from '#host/log/kafka/members.js'
import { type GroupTimes, joinKafkaGroup } from '#host/log/kafka/membership.js'
import { describeGroup } from '#host/log/kafka/requests/groups.js'
import { KafkaTopics } from '#host/log/kafka/topics.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { GroupPeer, GroupVersion, Membership } from '#host/log/log.js'
import { testFolder } from '../test/support/folder.js'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const usual: GroupTimes = {
  sessionTimeoutMs: 6_000,
  heartbeatMs: 200,
  rebalanceTimeoutMs: 10_000,
  metadataIntervalMs: 30_000,
}
const moves = { acceptableLag: 10_000, probingIntervalMs: 100 }

interface TestMember {
  readonly membership: Membership
  readonly members: OwnMembers
  /** Its connections are gone for good, as if it had been killed. */
  cut(): Promise<void>
  partitions: readonly number[]
  kept: readonly number[]
  standbys: readonly number[]
  /** Why it was given nothing. */
  refused: string | undefined
  readonly steps: string[]
  readonly failures: string[]
  readonly losses: string[]
}

/** `revoked` is awaited before its partitions go. */
async function joinGroup(
  t: Test,
  group: string,
  topics: readonly string[],
  instance: string,
  {
    revoked = async () => {},
    given = () => {},
    taking = async () => {},
    file,
    signal,
    times = usual,
    ...more
  }: {
    revoked?: () => Promise<void>
    /** Told at once. */
    given?: () => void
    /** What is assigned is awaited before it is taken up. */
    taking?: () => Promise<void>
    file?: string
    times?: GroupTimes
    signal?: AbortSignal
    standbys?: number
    warm?: () => readonly number[]
    runs?: GroupVersion
    ready?: () => Promise<void>
  } = {},
): Promise<TestMember> {
  const kafka = quietKafka(address)
  const control = new Brokers(kafka)
  const settings = { createTopics: true, replication: 1, brokers: [address] }
  const described = new KafkaTopics(control, {
    ...settings,
    clientId: instance,
    retentionMs: -1,
    tombstoneRetentionMs: 1_000,
    connectionTimeoutMs: 1_000,
    group: times,
    moves,
    write: kafkaWriteSettings(),
  })
  t.teardown(async () => {
    await control[Symbol.asyncDispose]()
  })
  const members = new OwnMembers(file)
  const own: Omit<TestMember, 'membership' | 'members' | 'cut'> = {
    partitions: [],
    kept: [],
    standbys: [],
    refused: undefined,
    steps: [],
    failures: [],
    losses: [],
  }
  const brokers = new Brokers(kafka)
  const membership = await joinKafkaGroup({
    brokers,
    control,
    members,
    times,
    moves,
    ...(signal === undefined ? {} : { signal }),
    ...more,
    group,
    topics,
    instance,
    describe: (names) => described.describe(names),
    async assigned({ epoch, partitions, kept, standbys, refused }) {
      Object.assign(own, { partitions, kept, standbys, refused: refused?.error.message })
      own.steps.push(`assigned ${epoch}`)
      given()
      await taking()
    },
    async revoked(epoch) {
      own.steps.push(`revoked ${epoch}`)
      await revoked()
      own.partitions = []
    },
    lost(epoch, why) {
      own.steps.push(`lost ${epoch}`)
      own.losses.push(why)
      own.partitions = []
    },
    failed(error) {
      own.failures.push(error.message)
    },
  })
  t.teardown(() => membership[Symbol.asyncDispose]())
  return Object.assign(own, { membership, members, cut: () => brokers[Symbol.asyncDispose]() })
}

const all = (members: readonly TestMember[]): number[] =>
  members.flatMap(({ partitions }) => [...partitions]).sort((a, b) => a - b)

t.test('members share the partitions, keep what they can, and know who has which', async (t) => {
  const [clicks, taps, group] = [ownName('clicks'), ownName('taps'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 4, [taps]: 4 })
  const first = await joinGroup(t, group, [clicks, taps], 'one')
  t.same([first.partitions, first.kept], [[0, 1, 2, 3], []])
  t.match(await first.members.of(group), { group, generation: 1, member: String })

  const second = await joinGroup(t, group, [clicks, taps], 'two')
  await until('all are assigned', () => all([first, second]).length === 4)
  t.same(
    [first.partitions, second.partitions],
    [
      [0, 1],
      [2, 3],
    ],
  )
  t.same(first.steps, ['assigned 1', 'revoked 1', 'assigned 2'])
  t.same([first.kept, second.kept], [[0, 1], []], 'nobody else had those that stayed')
  const shown = ({ instance, partitions, standbys }: GroupPeer) =>
    `${instance}: ${partitions.join(' ')} and ${standbys.join(' ')}`
  t.same(second.membership.members().map(shown).sort(), ['one: 0 1 and ', 'two: 2 3 and '])

  const described = await runTool(address, 'kafka-consumer-groups', [
    '--describe',
    '--members',
    '--verbose',
    '--group',
    group,
  ])
  t.match(described, new RegExp(`${clicks}:0,1`), "Kafka's own tool shows who has what")

  await first.membership[Symbol.asyncDispose]()
  t.equal(first.steps.at(-1), 'revoked 2')
  await until('the other has all', () => second.partitions.length === 4)
})

t.test('partitions go to another when they are given up, and not before', async (t) => {
  const [clicks, group] = [ownName('clicks'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2 })
  let giveUp = () => {}
  const given = new Promise<void>((resolve) => {
    giveUp = resolve
  })
  const first = await joinGroup(t, group, [clicks], 'one', { revoked: () => given })
  const joining = joinGroup(t, group, [clicks], 'two')
  await until('it is asked to give them up', () => first.steps.includes('revoked 1'))
  let hasJoined = false
  void joining.then(() => {
    hasJoined = true
  })
  const generation = (await first.members.of(group))?.generation
  t.equal(generation, 1, 'what it commits meanwhile is of its generation')
  t.notOk(hasJoined)
  giveUp()
  const second = await joining
  await until('both have one', () => all([first, second]).length === 2)
  t.same([first.partitions.length, second.partitions.length], [1, 1])
})

/** Settles when it is told. */
function awaited() {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { ended, end }
}

t.test('who is put out of the group has no lease when another has its partitions', async (t) => {
  const times = { ...usual, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 1_000 }
  /** Two members, the second of which has all when the first is put out. `put`: it is. */
  const pair = async (
    name: string,
    options: NonNullable<Parameters<typeof joinGroup>[4]>,
    put = () => {},
  ) => {
    const [clicks, group] = [ownName('clicks'), ownName('counts')]
    await makeTopics(t, address, { [clicks]: 2 })
    const first = await joinGroup(t, group, [clicks], 'one', options)
    let isHeld: boolean | undefined
    const given = () => {
      if (isHeld !== undefined) return
      isHeld = first.membership.holds()
      put()
    }
    const second = await joinGroup(t, group, [clicks], 'two', { times, given })
    t.same([isHeld, second.partitions], [false, [0, 1]], name)
    return { first, second }
  }
  const unheard = async () => {
    await pair('not heard of the sharing out', { times: { ...times, heartbeatMs: 9_000 } })
  }
  const late = async () => {
    const { ended, end } = awaited()
    let asked = 0
    const warm = () => {
      asked += 1
      return []
    }
    const put = () => {
      asked = 0
      end()
    }
    const slow = { times: { ...times, heartbeatMs: 700 }, revoked: () => ended, warm }
    const { first } = await pair('given up too late', slow, put)
    await until('it joins again', () => first.steps.at(-1) === 'assigned 2')
    t.same(first.steps, ['assigned 1', 'revoked 1', 'assigned 2'])
    t.ok(asked > 1, 'as another one, it tells anew what it has')
  }
  const stuck = async () => {
    const { ended, end } = awaited()
    const slow = { times: { ...times, heartbeatMs: 700 }, revoked: () => ended }
    const { first } = await pair('not given up', slow)
    await until('it leaves', () => first.steps.includes('lost 1'))
    t.match(first.losses, [/not given up in time/])
    t.match(first.failures, [/not given up within 1000 ms/])
    end()
    await until('it joins again', () => first.steps.at(-1) === 'assigned 2')
  }
  await Promise.all([unheard(), late(), stuck()])
})

t.test('who takes up slowly what it was given stays a member', async (t) => {
  const [clicks, group] = [ownName('clicks'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2 })
  const times = { ...usual, sessionTimeoutMs: 1_000, heartbeatMs: 100 }
  const taking = async () => await pause(2 * times.sessionTimeoutMs)
  const slow = await joinGroup(t, group, [clicks], 'slow', { times, taking })
  const other = await joinGroup(t, group, [clicks], 'other', { times })
  t.equal(other.partitions.length, 1)
  await until('it has its share', () => slow.steps.at(-1) === 'assigned 2')
  t.same(slow.steps, ['assigned 1', 'revoked 1', 'assigned 2'], 'it was put out at no time')
})

t.test('who leaves and cannot give its partitions up keeps them from nobody', async (t) => {
  const { ended, end } = awaited()
  const [clicks, group] = [ownName('clicks'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2 })
  const times = { ...usual, rebalanceTimeoutMs: 1_000 }
  const first = await joinGroup(t, group, [clicks], 'one', { times })
  const second = await joinGroup(t, group, [clicks], 'two', { times, revoked: () => ended })
  await until('both have one', () => all([first, second]).length === 2)
  const leaving = second.membership[Symbol.asyncDispose]()
  await until('the other has all', () => first.partitions.length === 2)
  end()
  await leaving
  t.same(second.steps, ['assigned 1', 'revoked 1', 'lost 1'])
})

t.test('who stops waiting to join is no member, and holds nobody up', async (t) => {
  const [clicks, taps, group] = [ownName('clicks'), ownName('taps'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2, [taps]: 2 })
  let giveUp = () => {}
  const given = new Promise<void>((resolve) => {
    giveUp = resolve
  })
  const first = await joinGroup(t, group, [clicks], 'one', { revoked: () => given })
  const stop = new AbortController()
  const waiting = joinGroup(t, group, [clicks, taps], 'two', { signal: stop.signal })
  await until('the group waits for both', () => first.steps.includes('revoked 1'))
  stop.abort(new Error('other inputs'))
  await t.rejects(waiting, { message: 'other inputs' })
  const brokers = new Brokers(quietKafka(address))
  t.teardown(() => brokers[Symbol.asyncDispose]())
  const { members } = await brokers.askCoordinator('group', group, describeGroup(group))
  t.same(
    members.map(({ member }) => member),
    [(await first.members.of(group))?.member],
  )
  giveUp()
  await until('it goes on alone', () => first.steps.includes('assigned 2'))
  t.same(first.partitions, [0, 1])
})

t.test(
  'who was killed and is back before it is missed has what it had, and nobody else moves',
  async (t) => {
    const [clicks, group, file] = [
      ownName('clicks'),
      ownName('counts'),
      join(testFolder(t), 'members'),
    ]
    await makeTopics(t, address, { [clicks]: 4 })
    const former = await joinGroup(t, group, [clicks], 'one', { file })
    const other = await joinGroup(t, group, [clicks], 'two')
    await until('all are assigned', () => all([former, other]).length === 4)
    const [had, kept] = [former.partitions, other.partitions]
    await former.cut()
    const before = other.steps.length
    const back = await joinGroup(t, group, [clicks], 'one', {
      file,
      // Whoever were told of it meanwhile would have heard of it.
      ready: () => pause(5 * usual.heartbeatMs),
    })
    await until('all are assigned', () => all([back, other]).length === 4)
    t.same([back.partitions, other.partitions], [had, kept])
    t.equal(other.steps.length - before, 2, 'they are shared out once')
  },
)

t.test('who has other edges than the others gets nothing, until they are gone', async (t) => {
  const [clicks, taps, group] = [ownName('clicks'), ownName('taps'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2, [taps]: 2 })
  const runs = (version: string, inputs: string[], joins: string[] = []): GroupVersion => {
    const edges = { inputs, joins, lookups: [], table: 'counts', partitions: 2 }
    return { edges: { ...edges, hasher: 'murmur2' }, since: Date.now(), version: () => version }
  }
  const first = await joinGroup(t, group, [clicks], 'one', { runs: runs('v1', [clicks]) })
  const newer = await joinGroup(t, group, [clicks, taps], 'two', {
    runs: runs('v2', [clicks, taps]),
  })
  const newest = await joinGroup(t, group, [clicks], 'three', {
    runs: runs('v3', [clicks], ['users']),
  })
  await until('all is shared out', () => first.partitions.length === 2)
  t.match(newer.refused, `by one, and gives this instance nothing: inputs: ${clicks}, ${taps} here`)
  t.match(newest.refused, /joins: users here; none there/)
  const members = first.membership.members()
  t.match(
    [...members].sort((a, b) => ((a.version ?? '') < (b.version ?? '') ? -1 : 1)),
    [
      { instance: 'one', version: 'v1', partitions: [0, 1], isRefused: undefined },
      { instance: 'two', version: 'v2', partitions: [], isRefused: true },
      { instance: 'three', version: 'v3', partitions: [], isRefused: true },
    ],
  )
  t.same([first.failures, newer.failures, newest.failures], [[], [], []])
  await first.membership[Symbol.asyncDispose]()
  await until('it is the turn of the older one', () => newer.partitions.length === 2)
  await until('the other is told', () => newest.refused?.includes('by two') === true)
  t.equal(newer.refused, undefined)
  await newer.membership[Symbol.asyncDispose]()
  await until('it is its turn', () => newest.partitions.length === 2)
  t.equal(newest.refused, undefined)
})

t.test('without edges, who reads other topics than the others gets nothing', async (t) => {
  const [clicks, taps, group] = [ownName('clicks'), ownName('taps'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2, [taps]: 4 })
  const first = await joinGroup(t, group, [clicks], 'one')
  const newer = await joinGroup(t, group, [taps], 'two')
  await until('it is told', () => newer.refused !== undefined)
  t.match(newer.refused, `inputs: ${taps} here; ${clicks} there`)
  await until('the first has all again', () => first.partitions.length === 2)
  await first.membership[Symbol.asyncDispose]()
  await until('it is its turn', () => newer.partitions.length === 4)
})

t.test('a topic that is made in this moment is waited for', async (t) => {
  const [clicks, group] = [ownName('clicks'), ownName('counts')]
  const joining = joinGroup(t, group, [clicks], 'one')
  await makeTopics(t, address, { [clicks]: 2 })
  t.same((await joining).partitions, [0, 1])
})

t.test('what cannot be joined is refused', async (t) => {
  const [clicks, odd, group] = [ownName('clicks'), ownName('odd'), ownName('counts')]
  await makeTopics(t, address, { [clicks]: 2, [odd]: 3 })
  await t.rejects(joinGroup(t, group, [clicks, odd], 'one'), { code: 'TOPIC_MISMATCH' })
  await t.rejects(joinGroup(t, group, [ownName('missing')], 'one'), { code: 'UNKNOWN_TOPIC' })
})

t.end()
