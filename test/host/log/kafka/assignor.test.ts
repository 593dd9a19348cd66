// How partitions are shared out: evenly, by the same rule for everybody, and with as few moves as that allows.
import t from 'tap'
import { type Claim, shareOut } from '#host/log/kafka/assignor.js'
import { packClaim, packShare, unpackClaim, unpackShare } from '#host/log/kafka/group-data.js'
import { Random } from '#host/log/memory/random.js'

const claim = (member: string, owned: readonly number[] = []): Claim => ({
  member,
  topics: ['clicks'],
  instance: `host-${member}`,
  owned,
})

const shown = (shares: ReadonlyMap<string, readonly number[]>) => Object.fromEntries(shares)

t.test('one member has all, several the same number, give or take one', (t) => {
  t.same(shown(shareOut([claim('a')], 3)), { a: [0, 1, 2] })
  t.same(shown(shareOut([claim('a'), claim('b')], 3)), { a: [0, 2], b: [1] })
  t.same(shown(shareOut([claim('a'), claim('b'), claim('c')], 2)), { a: [0], b: [1], c: [] })
  t.end()
})

t.test('whoever had a partition keeps it, as far as that is fair', (t) => {
  t.same(shown(shareOut([claim('a', [0, 1, 2, 3]), claim('b')], 4)), { a: [0, 1], b: [2, 3] })
  t.same(shown(shareOut([claim('a'), claim('b', [0, 1, 2])], 5)), { a: [3, 4], b: [0, 1, 2] })
  t.same(shown(shareOut([claim('b', [3]), claim('c', [2])], 4)), { b: [0, 3], c: [1, 2] })
  t.same(
    shown(shareOut([claim('a', [0, 1]), claim('b', [0, 1])], 2)),
    { a: [0], b: [1] },
    'two that claim the same get one each',
  )
  t.same(
    shown(shareOut([claim('a', [7, -1, 0])], 2)),
    { a: [0, 1] },
    'what is not there is nobody’s',
  )
  t.end()
})

t.test('members come and go at random: always even, never more moved than has to be', (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 200; round += 1) {
    const count = random.upTo(40)
    let members = Array.from({ length: random.upTo(6) }, (_, n) => `m${n}`)
    let shares = shareOut(
      members.map((member) => claim(member)),
      count,
    )
    for (let step = 0; step < 5; step += 1) {
      const before = shares
      members = random.happens(0.5)
        ? [...members, `n${round}-${step}`]
        : members.slice(members.length > 1 ? 1 : 0)
      const claims = members.map((member) => claim(member, before.get(member) ?? []))
      shares = shareOut(claims, count)
      t.same(shown(shareOut(claims.toReversed(), count)), shown(shares), 'in any order')
      const sizes = [...shares.values()].map(({ length }) => length)
      if (Math.max(...sizes) - Math.min(...sizes) > 1) t.fail('it is uneven', { sizes })
      const all = [...shares.values()].flat().sort((a, b) => a - b)
      if (all.some((partition, n) => partition !== n) || all.length !== count) t.fail('not all')
      // What a member has beyond a fair share has to go, and nothing else.
      const least = Math.floor(count / members.length)
      const larger = count % members.length
      const held = members.map((member) => before.get(member)?.length ?? 0).sort((a, b) => b - a)
      const mayStay = held.reduce((sum, n, i) => sum + Math.min(n, least + (i < larger ? 1 : 0)), 0)
      const stays = members.reduce((sum, member) => {
        const kept = before.get(member)?.filter((one) => shares.get(member)?.includes(one))
        return sum + (kept?.length ?? 0)
      }, 0)
      if (stays !== mayStay) t.fail('more was moved than had to be', { stays, mayStay })
    }
  }
  t.end()
})

t.test(
  'what members tell each other comes out as it went in; of strangers the topics are known',
  (t) => {
    const told = { topics: ['clicks', 'taps'], instance: 'host-1', owned: [1, 3] }
    t.same(unpackClaim('m', packClaim(told)), { member: 'm', ...told })
    const owners = new Map([
      [0, 'host-1'],
      [2, 'host-2'],
    ])
    t.same(unpackShare(packShare(['clicks', 'taps'], [0, 2], owners)), {
      topics: ['clicks', 'taps'],
      partitions: [0, 2],
      owners,
    })
    t.same(unpackShare(Buffer.alloc(0)), { topics: [], partitions: [], owners: new Map() })
    const stranger = packClaim(told)
    stranger.fill('x', stranger.indexOf('{'))
    t.same(unpackClaim('m', stranger), {
      member: 'm',
      topics: told.topics,
      instance: 'm',
      owned: [],
    })
    t.end()
  },
)
