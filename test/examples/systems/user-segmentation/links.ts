// Link by link: whatever the order in which things came, each record has to follow from those before it, once.
import type { testHost } from 'millrace/testing'
import type { Test } from 'tap'
import type { Event } from '../../../../examples/systems/user-segmentation/events.js'
import type model from '../../../../examples/systems/user-segmentation/functions/model.js'
import type profiles from '../../../../examples/systems/user-segmentation/functions/profiles.js'
import type segments from '../../../../examples/systems/user-segmentation/functions/segments.js'
import type shards from '../../../../examples/systems/user-segmentation/functions/shards.js'
import { categories } from '../../../../examples/systems/user-segmentation/segments.js'
import { isSame } from '../../../support/entries.js'
import { grouped } from '../../../support/grouped.js'
import { distancesTo, firstModel, type Matrix, profileOf, square, sum } from './profiles.js'

type Functions = {
  profiles: typeof profiles
  shards: typeof shards
  model: typeof model
  segments: typeof segments
}
export type Host = Awaited<ReturnType<typeof testHost<Functions>>>

/** Events of a profile; those between two samples; samples of a batch; shards; events of the first model, and most, of a segment. */
const [remembered, sampledEach, batchSize, shardCount, prior, mostEvents] = [
  20, 4, 16, 8, 200, 8000,
]

export function recordsOf<
  Stream extends 'samples' | 'assignments' | 'batches' | 'models' | 'changes',
>(host: Host, stream: Stream) {
  return host
    .stream(stream)
    .records()
    .flatMap(({ key, value }) => (value ? { key, value } : []))
}

const tolerance = 1e-12
const isClose = (found: Matrix | undefined, right: Matrix): boolean =>
  right.every((row, index) =>
    row.every((value, at) => Math.abs(value - (found?.[index]?.[at] ?? Number.NaN)) < tolerance),
  )

/** Events make profiles, and each fourth of a user a sample. */
async function checkProfiles(t: Test, host: Host, all: readonly Event[]): Promise<void> {
  const users = [...grouped(all, ({ user }) => user)].map(([user, own]) => ({
    user,
    did: own.map(({ category }) => categories.indexOf(category)),
  }))
  const right = users.map(
    ({ user, did }) => [user, { events: did.length, recent: did.slice(-remembered) }] as const,
  )
  isSame(t, await host.table('profiles').entries(), right, 'profiles')
  const samples = users.flatMap(({ user, did }) =>
    did.flatMap((_, index) => {
      const events = index + 1
      if (events % sampledEach !== 0) return []
      const profile = profileOf(did.slice(Math.max(0, events - remembered), events))
      return [[`${user} ${events}`, profile] as const]
    }),
  )
  const found = recordsOf(host, 'samples')
  t.equal(found.length, samples.length, `${samples.length} samples, each once`)
  const byName = found.map(
    ({ value: { user, events, profile } }) => [`${user} ${events}`, profile] as const,
  )
  isSame(t, byName.sort(byKey), samples, 'samples')
}

/** Each sample is assigned once, to what is nearest to it by the version that is named. */
function checkAssignments(t: Test, host: Host): void {
  const versions = new Map([[0, firstModel]])
  for (const { value } of recordsOf(host, 'models')) versions.set(value.version, value.model)
  const samples = recordsOf(host, 'samples')
  const assigned = new Map(
    recordsOf(host, 'assignments').map(({ key, value }) => [`${key} ${value.events}`, value]),
  )
  t.equal(host.stream('assignments').size, samples.length, 'as many assignments as samples')
  const wrong = samples.filter(({ value: { user, events, profile } }) => {
    const { version, segment } = assigned.get(`${user} ${events}`) ?? { version: -1, segment: -1 }
    const distances = distancesTo(versions.get(version) ?? [], profile)
    return !((distances[segment] ?? Number.NaN) <= Math.min(...distances) + tolerance)
  })
  t.strictSame(wrong, [], `all to the nearest segment, by ${versions.size} versions`)
}

/** Every sixteen samples of a shard make a batch; the rest is in its table. */
async function checkBatches(t: Test, host: Host): Promise<void> {
  const assigned = new Map(
    recordsOf(host, 'assignments').map(({ key, value }) => [`${key} ${value.events}`, value]),
  )
  const sums = (some: { user: string; events: number; profile: number[] }[]): number[][] =>
    square((segment, category) =>
      sum(
        some
          .filter(({ user, events }) => assigned.get(`${user} ${events}`)?.segment === segment)
          .map(({ profile }) => profile[category] ?? 0),
      ),
    )
  const byShard = grouped(recordsOf(host, 'samples'), ({ key }) => key)
  t.ok(byShard.size === shardCount, `${byShard.size} shards`)
  const found = grouped(recordsOf(host, 'batches'), ({ value }) => value.shard)
  for (const [shard, records] of byShard) {
    const samples = records.map(({ value }) => value)
    const whole = Math.floor(samples.length / batchSize)
    const right = Array.from({ length: whole }, (_, nth) => ({
      shard,
      samples: batchSize,
      profiles: sums(samples.slice(nth * batchSize, (nth + 1) * batchSize)),
    }))
    const told = (found.get(shard) ?? []).map(({ value }) => value)
    t.strictSame(told, right, `${shard}: ${whole} batches`)
    const { samples: left, profiles } = host.table('shards').get(shard) ?? {}
    const rest = samples.slice(whole * batchSize)
    t.strictSame({ left, profiles }, { left: rest.length, profiles: sums(rest) }, 'and the rest')
  }
}

/** Batches make versions, one for every eight of them, and each shard is told of each. */
function checkModel(t: Test, host: Host): void {
  const batches = recordsOf(host, 'batches')
  // What is remembered of a segment is halved; here instead what comes later counts twice as much each time.
  const kept = firstModel.map((shares) => ({ sums: shares.map((share) => share * prior), unit: 1 }))
  const right: number[][][] = []
  for (const [index, { value }] of batches.entries()) {
    for (const [segment, state] of kept.entries()) {
      const { unit } = state
      state.sums = state.sums.map(
        (before, at) => before + unit * (value.profiles[segment]?.[at] ?? 0),
      )
      if (sum(state.sums) / unit > mostEvents) state.unit = 2 * unit
    }
    const isLast = (index + 1) % shardCount === 0
    if (isLast) right.push(kept.map(({ sums }) => sums.map((each) => each / sum(sums))))
  }
  const byShard = grouped(recordsOf(host, 'models'), ({ key }) => key)
  t.equal(byShard.size, shardCount)
  for (const [shard, records] of byShard) {
    const inOrder = records.every(({ value }, index) => value.version === index + 1)
    t.ok(inOrder && records.length === right.length, `${shard} is told of ${right.length} versions`)
    t.ok(
      records.every(({ value }, index) => isClose(value.model, right[index] ?? [])),
      'each follows from the batches before it',
    )
    t.equal(host.table('shards').get(shard)?.version, right.length, 'it has the last one')
  }
  const found = host.table('model').get('model')
  t.match(found, {
    version: right.length,
    batches: batches.length,
    samples: batches.length * batchSize,
  })
  t.ok(isClose(found?.model, right.at(-1) ?? firstModel), 'so does the table')
}

/** A user's segment is another when the same other one was assigned twice in a row; each change is told once. */
async function checkSegments(t: Test, host: Host): Promise<void> {
  const members: [string, unknown][] = []
  const changes: [string, unknown][] = []
  for (const [user, records] of grouped(recordsOf(host, 'assignments'), ({ key }) => key)) {
    const own = records.map(({ value }) => value)
    const told: { from: number | null; to: number; version: number }[] = []
    for (const [index, { segment, version }] of own.entries()) {
      const from = told.at(-1)?.to ?? null
      if (from === null || (segment !== from && own[index - 1]?.segment === segment)) {
        told.push({ from, to: segment, version })
      }
    }
    const segment = told.at(-1)?.to
    const last = own.at(-1)?.segment
    const isOther = last !== segment
    const state = { segment, changes: told.length - 1, ...(isOther && { candidate: last }) }
    members.push([user, state])
    changes.push([user, told])
  }
  isSame(t, await host.table('segments').entries(), members, 'segments of users')
  const found = [...grouped(recordsOf(host, 'changes'), ({ key }) => key)].map(
    ([user, records]) => [user, records.map(({ value }) => value)] as const,
  )
  isSame(t, found.sort(byKey), changes, 'changes of segments')
}

export async function checkLinks(t: Test, host: Host, all: readonly Event[]): Promise<void> {
  await checkProfiles(t, host, all)
  checkAssignments(t, host)
  await checkBatches(t, host)
  checkModel(t, host)
  await checkSegments(t, host)
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1
