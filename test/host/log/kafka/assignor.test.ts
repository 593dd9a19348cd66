// How partitions are shared out: evenly, by the same rule for everybody, and with as few moves as that allows.
import t from 'tap'
import { shareOut } from '#host/log/kafka/assignor.js'
import type { Claim } from '#host/log/kafka/claim.js'
import {
  packClaim,
  packMembers,
  packShare,
  unpackClaim,
  unpackShare,
} from '#host/log/kafka/group-data.js'
import { nearnessOf } from '#host/log/kafka/nearness.js'
import { hasMoreToTake, planOf } from '#host/log/kafka/plan.js'
import { runningEdges } from '#host/log/kafka/running-edges.js'
import { claimsOf, sharesOf } from '#host/log/kafka/shares.js'
import { standbysOf } from '#host/log/kafka/standbys.js'
import type { GroupEdges, GroupPeer } from '#host/log/log.js'
import { Random } from '#host/log/memory/random.js'

const claim = (
  member: string,
  owned: readonly number[] = [],
  more: Partial<Claim> = {},
): Claim => ({
  member,
  topics: ['clicks'],
  instance: `host-${member}`,
  address: undefined,
  owned,
  warm: [],
  behind: [],
  standbys: 0,
  ...more,
})

const edges: GroupEdges = {
  inputs: ['clicks'],
  joins: ['pages-table'],
  lookups: ['users-table (fnv1a)'],
  table: 'counts-table',
  hasher: 'murmur2',
  partitions: 4,
}

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

t.test('who has a table warm gets its partition, before others and within its share', (t) => {
  const warm = (...partitions: number[]) => ({ warm: partitions })
  t.same(shown(shareOut([claim('a'), claim('b', [], warm(0, 1))], 4)), { a: [2, 3], b: [0, 1] })
  t.same(
    shown(shareOut([claim('a', [0, 1, 2, 3]), claim('b', [], warm(0, 1))], 4)),
    { a: [2, 3], b: [0, 1] },
    'one that has too many gives those that another has warm',
  )
  t.same(
    shown(shareOut([claim('a', [0, 1]), claim('b', [2, 3], warm(0, 1, 2, 3))], 4)),
    { a: [0, 1], b: [2, 3] },
    'nothing is moved for it',
  )
  t.same(
    shown(shareOut([claim('a', [0, 1]), claim('b', [2, 3], warm(4, 5))], 6)),
    { a: [0, 1, 5], b: [2, 3, 4] },
    'without standbys evenly',
  )
  t.end()
})

t.test('who lacks least of a table gets its partition, within its share', (t) => {
  const had = (warm: number[], ...behind: number[][]) => ({ warm, behind })
  t.same(
    shown(shareOut([claim('a', [], had([], [], [0, 1])), claim('b', [], had([], [0, 1]))], 4)),
    { a: [2, 3], b: [0, 1] },
    'the nearer of two copies',
  )
  t.same(
    shown(shareOut([claim('a', [], had([], [3])), claim('b', [], had([3], [0, 1, 2]))], 4)),
    { a: [1, 2], b: [0, 3] },
    'what is warm comes first',
  )
  // As when \`c\` was restarted: what it had went to the others, whose own lie on disks of old.
  const [a, b] = [claim('a', [0, 1, 4], had([0, 1, 4], [2])), claim('b', [2, 3, 5], had([2, 3, 5]))]
  t.same(
    shown(shareOut([a, b, claim('c', [], had([4, 5]))], 6)),
    { a: [0, 1], b: [2, 3], c: [4, 5] },
    'one that is back gets what it had',
  )
  t.same(
    shown(
      shareOut([a, claim('b', [2, 3, 5], had([0, 1, 2, 3])), claim('c', [], had([], [4, 5]))], 6),
    ),
    { a: [0, 1], b: [2, 3], c: [4, 5] },
    'also from far behind: copies of those that have their shares count for nothing',
  )
  const standby = (member: string, ...copies: [number[], ...number[][]]) =>
    claim(member, [], { ...had(...copies), standbys: 1 })
  const claims = [standby('a', [0]), standby('b', [], [], [0]), standby('c', [], [0])]
  t.same(shown(standbysOf(claims, new Map([['a', [0]]]), 1)), { a: [], b: [], c: [0] })
  t.end()
})

const isKept = (warm: readonly number[], behind: readonly number[][] = []) => ({
  warm,
  behind,
  standbys: 1,
})
const planned = (...of: Parameters<typeof planOf>) => {
  const { owned, copied } = planOf(...of)
  return Object.fromEntries(
    [...owned].map(([member, own]) => [member, [own, copied.get(member)]] as const),
  )
}

t.test('where standbys are kept nothing goes to one that would have to replay it first', (t) => {
  const [a, b] = [claim('a', [0, 1], isKept([0, 1])), claim('b', [2, 3], isKept([2, 3, 4, 5]))]
  t.same(
    planned([a, b], 6),
    {
      a: [
        [0, 1],
        [2, 3, 4, 5],
      ],
      b: [
        [2, 3, 4, 5],
        [0, 1],
      ],
    },
    'a standby takes over what is left behind, however much it has, and gives a part of it up when that is copied',
  )
  t.same(
    planned([a, b], 6, () => true),
    {
      a: [
        [0, 1, 5],
        [2, 3, 4],
      ],
      b: [
        [2, 3, 4],
        [0, 1, 5],
      ],
    },
  )
  const disk = claim('c', [], isKept([], [[4]]))
  t.same(shown(planOf([a, b, disk], 6).owned).c, [], 'nor to a disk of old')

  const before = [claim('a', [0, 1, 2, 3], isKept([0, 1, 2, 3]))]
  const comes = planned([...before, claim('b', [], isKept([]))], 4)
  t.same(comes, { a: [[0, 1, 2, 3], []], b: [[], [0, 1, 2, 3]] }, 'one that comes copies')
  const half = planned([...before, claim('b', [], isKept([3], [[2]]))], 4)
  t.same(half, { a: [[0, 1, 2], [3]], b: [[3], [0, 1, 2]] }, 'gets what it has copied')
  const all = planned([...before, claim('b', [], isKept([0, 1, 2, 3]))], 4)
  t.same(
    Object.values(all).map(([own]) => own?.length),
    [2, 2],
    'and its share',
  )
  t.end()
})

t.test('who has copied what it was given asks for it, if it would get it', (t) => {
  const of = (partitions: number[], standbys: number[]) => ({ partitions, standbys })
  const newcomer = of([], [2, 3])
  const [a, b] = [of([0, 1, 2], [3]), of([3, 4], [0, 1, 2])]
  const asks = (made: number[], ...others: ReturnType<typeof of>[]) =>
    hasMoreToTake(newcomer, [newcomer, ...others], made, 1)
  t.equal(asks([2], a, b), true)
  t.equal(asks([], a, b), false, 'it has made none')
  t.equal(asks([4], a, b), false, 'it was not given that')
  t.equal(asks([2], of([0], []), of([2], [])), false, 'as even as can be')
  t.equal(asks([3], of([2], [3]), of([3], [])), true, 'another copies it until then')
  t.end()
})

t.test('what a host lacks is told in steps, and what it cannot go on with is not', (t) => {
  const lack = (behind: number | undefined, all = 1_000_000) => ({ behind, all })
  const lacks = [0, 100, 101, 399, 400, 1e9, undefined, 5_000].map((behind) => lack(behind))
  t.same(nearnessOf([7], lacks, 100), {
    warm: [0, 1, 7],
    behind: [[2, 3], [4], [], [], [], [], [], [5]],
  })
  t.same(nearnessOf([], [lack(0), lack(1)], 0), { warm: [0], behind: [[1]] })
  t.end()
})

t.test('standbys: each partition as many as are wanted, with others than its owner', (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  for (let round = 0; round < 100; round += 1) {
    const count = 1 + random.upTo(30)
    const wanted = random.upTo(4)
    const size = 2 + random.upTo(5)
    const names = Array.from({ length: size }, (_, n) => `m${n}`)
    const claims = names.map((name) => claim(name, [], { standbys: wanted }))
    const shares = shareOut(claims, count)
    const standbys = standbysOf(claims, shares, count)
    t.same(shown(standbysOf(claims.toReversed(), shares, count)), shown(standbys), 'in any order')
    const copies = Math.min(wanted, size - 1)
    const kept = [...standbys.values()].flat()
    const counts = Array.from({ length: count }, (_, p) => kept.filter((one) => one === p).length)
    if (counts.some((copied) => copied !== copies)) t.fail('not as many', { counts, copies })
    for (const name of names) {
      const both = standbys.get(name)?.filter((one) => shares.get(name)?.includes(one))
      if (both?.length !== 0) t.fail('an owner stands by for itself', { name, both })
    }
    const loads = [...standbys.values()].map(({ length }) => length)
    if (Math.max(...loads) > Math.ceil((count * copies) / size) + 1) t.fail('uneven', { loads })

    // One dies: a standby has each of its partitions, and nothing else was moved.
    const warmed = names.slice(1).map((name) => {
      const owned = shares.get(name) ?? []
      return claim(name, owned, {
        standbys: wanted,
        warm: [...owned, ...(standbys.get(name) ?? [])],
      })
    })
    const { owned: after } = planOf(warmed, count)
    for (const partition of shares.get('m0') ?? []) {
      const owner = [...after].find(([, own]) => own.includes(partition))?.[0] ?? ''
      if (copies > 0 && !standbys.get(owner)?.includes(partition)) t.fail('a cold one has it')
    }
    const again = standbysOf(warmed, after, count)
    for (const [name, own] of after) {
      const before = standbys.get(name)?.filter((one) => !own.includes(one)) ?? []
      const stayed = before.filter((one) => again.get(name)?.includes(one))
      if (copies === 1 && stayed.length < before.length - 2) t.fail('copies wander', { name })
    }
  }
  t.same(shown(standbysOf([claim('a', [], { standbys: 2 })], new Map([['a', [0]]]), 1)), { a: [] })
  t.end()
})

t.test(
  'members come and go at random: what is warm is served at once, and all is even in the end',
  (t) => {
    const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
    t.comment(`MILLRACE_TEST_SEED=${seed}`)
    const random = new Random(seed)
    let most = 0
    for (let round = 0; round < 100; round += 1) {
      const count = 1 + random.upTo(40)
      const wanted = random.upTo(2)
      let members = Array.from({ length: 1 + random.upTo(4) }, (_, n) => `m${n}`)
      let warm = new Map<string, readonly number[]>()
      let owned = new Map<string, readonly number[]>() as ReadonlyMap<string, readonly number[]>
      for (let step = 0; step < 5; step += 1) {
        let isAgain = true
        for (let sharings = 0; isAgain; sharings += 1) {
          most = Math.max(most, sharings)
          if (sharings > 10) return void t.fail('they share out for ever', { round, step })
          const claims = members.map((member) =>
            claim(member, owned.get(member) ?? [], {
              warm: warm.get(member) ?? [],
              standbys: wanted,
            }),
          )
          const plan = planOf(claims, count)
          const again = planOf(claims.toReversed(), count)
          t.same([shown(again.owned), shown(again.copied)], [shown(plan.owned), shown(plan.copied)])
          const isWarm = (partition: number) => claims.some((one) => one.warm.includes(partition))
          for (const { member, warm: its } of claims) {
            const cold = plan.owned.get(member)?.filter((one) => isWarm(one) && !its.includes(one))
            if (cold?.length !== 0) t.fail('a cold one has it', { member, cold })
          }
          // All that was to be copied is.
          const taken = members.map((member) => ({
            partitions: plan.owned.get(member) ?? [],
            standbys: plan.copied.get(member) ?? [],
          }))
          isAgain = members.some((member, at) => {
            const own = taken[at] ?? { partitions: [], standbys: [] }
            const made = own.standbys.filter((one) => !warm.get(member)?.includes(one))
            return hasMoreToTake(own, taken, made, wanted)
          })
          owned = plan.owned
          warm = new Map(
            taken.map(({ partitions, standbys }, at) => [
              members[at] ?? '',
              [...partitions, ...standbys],
            ]),
          )
          if (isAgain) continue
          const sizes = taken.map(({ partitions }) => partitions.length)
          const copies = taken.map(({ standbys }) => standbys.length)
          if (Math.max(...sizes) - Math.min(...sizes) > 1) t.fail('uneven', { sizes })
          const copied = copies.reduce((sum, one) => sum + one, 0)
          if (copied !== count * Math.min(wanted, members.length - 1)) t.fail('copies', { copies })
          if (Math.max(...copies) - Math.min(...copies) > 2) t.fail('uneven copies', { copies })
        }
        members = random.happens(0.5)
          ? [...members, `n${round}-${step}`]
          : members.slice(members.length > 1 ? 1 : 0)
      }
    }
    t.comment(`${most} sharings at most after the first`)
    t.end()
  },
)

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
    const told = {
      topics: ['clicks', 'taps'],
      instance: 'host-1',
      address: 'http://host-1:7420',
      owned: [1, 3],
      warm: [1, 3, 4],
      behind: [[], [0, 2]],
      standbys: 1,
    }
    t.same(unpackClaim('m', packClaim(told)), { member: 'm', ...told })
    const runs = { version: '0123456789ab', edges, since: 1_764_000_000_000 }
    const whole = { ...told, ...runs }
    t.same(unpackClaim('m', packClaim(whole)), { member: 'm', ...whole })
    const members: GroupPeer[] = [
      { instance: 'host-1', address: 'http://host-1:7420', partitions: [0, 2], standbys: [1] },
      { instance: 'host-2', address: undefined, partitions: [1], standbys: [0, 2], version: 'v1' },
      { instance: 'host-3', address: undefined, partitions: [], standbys: [], isRefused: true },
    ]
    const packed = { topics: ['clicks', 'taps'], partitions: [0, 2], standbys: [1], members }
    const share = { standbys: [1], members: packMembers(members) }
    t.same(unpackShare(packShare(['clicks', 'taps'], [0, 2], share)), packed)
    const shareOfEdges = { standbys: [1], members: packMembers(members, edges) }
    t.same(unpackShare(packShare(['clicks', 'taps'], [0, 2], shareOfEdges)), { ...packed, edges })
    const none = { topics: [], partitions: [], standbys: [], members: [] }
    t.same(unpackShare(Buffer.alloc(0)), none)
    const stranger = packClaim(told)
    stranger.fill('x', stranger.indexOf('{'))
    t.same(unpackClaim('m', stranger), {
      member: 'm',
      topics: told.topics,
      instance: 'm',
      address: undefined,
      owned: [],
      warm: [],
      behind: [],
      standbys: 0,
    })
    t.end()
  },
)

t.test('what 100 members are told of 1,000 partitions fits into a record of the broker', (t) => {
  const random = new Random(1)
  const members = Array.from({ length: 100 }, (_, n) => ({
    member: `millrace-${random.id()}`,
    owned: [] as number[],
    warm: [] as number[],
    address: `http://10.${n}.${n % 7}.${n % 13}:7420`,
  }))
  // As it is after many have come and gone: what a member has is no regular row.
  for (let partition = 0; partition < 1_000; partition += 1) {
    members[random.upTo(100) - 1]?.owned.push(partition)
    for (let copy = 0; copy < 2; copy += 1) members[random.upTo(100) - 1]?.warm.push(partition)
  }
  const claims = members.map(({ member, owned, warm, address }) =>
    claim(member, owned, {
      address,
      warm: [...owned, ...warm],
      standbys: 2,
      version: '0123456789ab',
      edges,
      since: 1_764_000_000_000,
    }),
  )
  const told = claims.map(({ member, ...of }) => ({ member, metadata: packClaim(of) }))
  const joined = claimsOf({ members: told })
  const shares = [...sharesOf(joined, runningEdges(joined), 1_000)]
  const sizes = [...told.map(({ metadata }) => metadata), ...shares.map(([, share]) => share)]
  const bytes = sizes.reduce((sum, { length }) => sum + length, 0)
  t.ok(bytes < 1_048_588 * 0.75, `${bytes} bytes`)
  const [, share = Buffer.alloc(0)] = shares[0] ?? []
  const { members: found } = unpackShare(Buffer.from(share))
  const had = (of: (peer: (typeof found)[number]) => readonly number[]) => found.flatMap(of).length
  t.equal(
    had(({ partitions }) => partitions),
    1_000,
  )
  t.ok(had(({ standbys }) => standbys) >= 2_000, 'and those that are to be made')
  t.end()
})
