// By which edges a group runs while its members have different ones: who gets something, who is refused, and what both are told.
import { brotliCompressSync } from 'node:zlib'
import t from 'tap'
import type { Claim } from '#host/log/kafka/claim.js'
import { packClaim, unpackClaim, unpackShare } from '#host/log/kafka/group-data.js'
import { refusalOf } from '#host/log/kafka/refusal.js'
import { runningEdges } from '#host/log/kafka/running-edges.js'
import { claimsOf, sharesOf } from '#host/log/kafka/shares.js'
import { Writer } from '#host/log/kafka/wire.js'
import type { GroupEdges } from '#host/log/log.js'

const former: GroupEdges = {
  inputs: ['clicks'],
  joins: [],
  lookups: [],
  table: 'counts-table',
  hasher: 'murmur2',
  partitions: 4,
}
const newer: GroupEdges = { ...former, inputs: ['clicks', 'views'], joins: ['users-table'] }

type Told = Partial<Pick<Claim, 'owned' | 'since' | 'warm' | 'standbys'>>

const claim = (member: string, edges: GroupEdges, more: Told = {}): Claim => ({
  member,
  topics: edges.inputs,
  instance: `host-${member}`,
  address: undefined,
  owned: [],
  warm: [],
  behind: [],
  standbys: 0,
  edges,
  since: 1,
  version: `version-${member}`,
  ...more,
})
/** Of a version that does not tell them. */
function untold(member: string, topics: readonly string[], owned: readonly number[] = []): Claim {
  const { edges: _, since: __, version: ___, ...rest } = claim(member, former, { owned })
  return { ...rest, topics }
}

const winners = (...claims: readonly Claim[]): string => {
  const [found, turned] = [claims, claims.toReversed()].map((given) => {
    const { claims: running, edges } = runningEdges(given)
    const names = running.map(({ member }) => member).sort()
    return `${names.join(' ')}: ${edges?.inputs.join(' ') ?? 'untold'}`
  })
  t.equal(found, turned, 'in any order')
  return found ?? ''
}

t.test('those win that somebody has partitions for, else those that are older', (t) => {
  const owned = [0]
  t.equal(winners(claim('a', former), claim('b', former)), 'a b: clicks')
  t.equal(
    winners(claim('a', newer, { since: 1 }), claim('b', former, { owned, since: 2 })),
    'b: clicks',
  )
  t.equal(
    winners(claim('a', newer, { since: 2 }), claim('b', former, { since: 1 })),
    'b: clicks',
    'nobody has any',
  )
  t.equal(
    winners(
      claim('a', newer, { owned, since: 2 }),
      claim('b', former, { owned: [1, 2], since: 3 }),
      claim('c', former, { since: 1 }),
    ),
    'b c: clicks',
    'both have some',
  )
  t.equal(winners(claim('a', newer), claim('b', former)), 'a: clicks views', 'none is older')
  t.end()
})

t.test('who does not tell its edges goes with those who read the same', (t) => {
  t.equal(winners(untold('a', ['clicks'], [0]), claim('b', former)), 'a b: clicks')
  t.equal(winners(untold('a', ['views', 'clicks']), claim('b', newer)), 'a b: clicks views')
  t.equal(winners(untold('a', ['clicks'], [0]), claim('b', newer)), 'a: untold')
  t.equal(winners(untold('a', ['clicks']), claim('b', newer)), 'a: untold', 'it is of before')
  t.equal(winners(untold('a', ['clicks']), claim('b', newer, { owned: [0] })), 'b: clicks views')
  const joining = { ...former, joins: ['users-table'] }
  t.equal(
    winners(untold('a', ['clicks'], [0]), claim('b', joining, { since: 2 }), claim('c', former)),
    'a c: clicks',
    'with the older of two',
  )
  t.equal(winners(untold('a', ['clicks']), untold('b', ['clicks'])), 'a b: untold')
  t.end()
})

/** As the group's leader sends them, and each member takes them. */
function sharedOut(claims: readonly Claim[], count = 4) {
  const joined = claimsOf({
    members: claims.map(({ member, ...told }) => ({ member, metadata: packClaim(told) })),
  })
  const running = runningEdges(joined)
  const shares = sharesOf(joined, running, running.edges?.partitions ?? count)
  return claims.map(({ member, topics, edges, since = 0 }) => {
    const share = unpackShare(Buffer.from(shares.get(member) ?? []))
    const runs = edges && { edges, since, version: () => '' }
    return {
      ...share,
      refused: refusalOf({ group: 'counts', topics, ...(runs && { runs }) }, share),
    }
  })
}

t.test('others get nothing, and are told what differs and where', (t) => {
  const [own, other] = sharedOut([
    claim('a', former, { owned: [0, 1, 2, 3], standbys: 1 }),
    claim('b', { ...newer, partitions: 8, hasher: 'fnv1a' }, { warm: [0, 1], standbys: 1 }),
  ])
  t.same([own?.partitions, own?.standbys, own?.refused], [[0, 1, 2, 3], [], undefined])
  t.same([other?.partitions, other?.standbys, other?.topics], [[], [], ['clicks']])
  t.match(other?.members, [
    { instance: 'host-a', version: 'version-a', partitions: [0, 1, 2, 3] },
    { instance: 'host-b', version: 'version-b', isRefused: true },
  ])
  t.same(other?.edges, former)
  const { error, edges } = other?.refused ?? {}
  t.same(edges, former)
  t.match(error, { code: 'EDGES_DIFFER' })
  t.match(
    error?.message,
    'the group counts is run with other edges by host-a, and gives this instance nothing: ' +
      'inputs: clicks, views here; clicks there. joins: users-table here; none there. ' +
      'hasher: fnv1a here; murmur2 there. partitions: 8 here; 4 there. It takes over by itself',
  )
  t.end()
})

t.test('one that has the same edges, and no partition left for it, is not refused', (t) => {
  const claims = ['a', 'b', 'c', 'd', 'e'].map((member) => claim(member, former))
  const shares = sharedOut(claims)
  t.same(
    shares.map(({ partitions, refused }) => [partitions.length, refused]),
    [1, 1, 1, 1, 0].map((length) => [length, undefined]),
  )
  const owners = claims.map((one, n) => ({ ...one, owned: [n] })).slice(0, 5)
  const refused = sharedOut([...owners, claim('x', newer)]).at(-1)?.refused
  t.match(refused?.error.message, /by host-a, host-b, host-c, host-d, and/)
  const [many] = sharedOut([
    claim('x', { ...newer, partitions: 9 }),
    ...Array.from({ length: 9 }, (_, n) =>
      claim(`m${n}`, { ...former, partitions: 9 }, { owned: [n] }),
    ),
  ])
  t.match(many?.refused?.error.message, /by host-m0, host-m1, host-m2, 6 more, and/)
  t.end()
})

t.test('where edges are not told, topics tell', (t) => {
  const [own, other] = sharedOut([untold('a', ['clicks'], [0]), claim('b', newer)])
  t.same([own?.partitions, own?.refused], [[0, 1, 2, 3], undefined])
  t.match(other?.refused?.error, {
    code: 'EDGES_DIFFER',
    message: /inputs: clicks, views here; clicks there\. It/,
  })
  t.notOk(other?.refused?.edges)
  const given = { topics: ['clicks'], partitions: [0], standbys: [], members: [] }
  const has = { group: 'counts', topics: ['views'] }
  t.equal(refusalOf(has, given), undefined, 'one that is given some has them')
  const [, bare] = sharedOut([claim('a', former, { owned: [0] }), untold('b', ['views'])])
  t.match(bare?.refused?.error.message, /inputs: views here; clicks there/)
  const [, same] = sharedOut([claim('a', former, { owned: [0] }), untold('b', ['clicks'])])
  t.same([same?.partitions.length, same?.refused], [2, undefined])
  t.end()
})

const withTopics = (topics: readonly string[]) => {
  const writer = new Writer(false)
  return writer.int16(0).array(topics, (topic) => writer.string(topic))
}

const withShares = (shares: Readonly<Record<string, readonly number[]>>) => {
  const writer = new Writer(false)
  return writer.int16(0).array(Object.entries(shares), ([topic, partitions]) => {
    writer.string(topic).array(partitions, (partition) => writer.int32(partition))
  })
}

const standbysAnd = (standbys: readonly number[], members: Buffer) => {
  const writer = new Writer(false)
  return writer
    .array(standbys, (partition) => writer.int32(partition))
    .bytes(members)
    .take()
}

t.test('what earlier and later versions of millrace tell is read', (t) => {
  const place = { instance: 'host-a', address: 'http://host-a:7420' }
  const claimOf = (told: object) =>
    withTopics(['clicks'])
      .bytes(Buffer.from(JSON.stringify(told)))
      .take()
  const said = { ...place, owned: [1], warm: [1, 2], standbys: 1 }
  const read = { member: 'a', topics: ['clicks'], behind: [], ...said }
  t.same(unpackClaim('a', claimOf(said)), read, 'without edges')
  const later = { ...said, form: 9, edges: { ...former, kinds: ['more'] }, since: 7, more: {} }
  t.same(unpackClaim('a', claimOf(later)), { ...read, edges: former, since: 7 })

  const shareOf = (told: Buffer) =>
    unpackShare(
      withShares({ clicks: [0, 2] })
        .bytes(told)
        .take(),
    )
  const map = { members: [place], owners: [[0], [], [0]], standbys: [[], [0]] }
  const members = [{ ...place, partitions: [0, 2], standbys: [1] }]
  const packed = (of: object) => standbysAnd([1], brotliCompressSync(JSON.stringify(of)))
  const share = { topics: ['clicks'], partitions: [0, 2], standbys: [1], members }
  t.same(shareOf(packed(map)), share, 'without edges')
  t.same(shareOf(packed({ ...map, form: 9, edges: former, more: [] })), { ...share, edges: former })
  const strange = { ...share, standbys: [], members: [] }
  t.same(shareOf(Buffer.from(JSON.stringify(map))), strange, 'as it was before')
  t.same(shareOf(Buffer.alloc(0)), strange)
  t.end()
})
