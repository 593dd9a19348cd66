// The search against everybody's last position, one by one, by another way of measuring; in calm, through crashes, and while people move.
import { readFile } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { testHost } from 'millrace/testing'
import t, { type Test } from 'tap'
import {
  type Event,
  movements,
  shown,
  towns,
} from '../../../examples/systems/match-search/events.js'
import cells from '../../../examples/systems/match-search/functions/cells.js'
import people from '../../../examples/systems/match-search/functions/people.js'
import {
  cellsAround,
  centreOf,
  geohash,
  type Position,
} from '../../../examples/systems/match-search/geohash.js'
import {
  errorMetres,
  goneMs,
  type Profile,
  refreshMs,
} from '../../../examples/systems/match-search/people.js'
import { type Query, search } from '../../../examples/systems/match-search/search.js'
import { randomFrom } from '../../../examples/systems/random.js'
import { averageBytes } from '../../support/entries.js'
import { checkReadme } from '../../support/example-readme.js'
import { throughTrouble } from '../../support/trouble.js'

const root = 'examples/systems/match-search'
const events = [...movements(shown)]

const hostOf = (options: Parameters<typeof testHost>[1] = {}) =>
  testHost({ people, cells }, { timeoutMs: 60_000, ...options })
type Host = Awaited<ReturnType<typeof hostOf>>

async function emit(host: Host, { stream, user, value, at }: Event): Promise<void> {
  const options = { timestamp: at }
  if (stream === 'profiles') await host.emit(stream, user, value, options)
  else await host.emit(stream, user, value, options)
}

const emitAll = (host: Host, some: readonly Event[]) =>
  Promise.all(some.map((each) => emit(host, each)))

const reader = (host: Host) => async (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, host.table('cells').get(name) ?? null]))

interface Last {
  readonly user: string
  readonly profile: Profile
  readonly place: Position
  readonly at: number
}

/** Who has a profile and a position, by the last of either. */
function lastOf(some: readonly Event[]): Last[] {
  const users = new Map<string, Partial<Record<Event['stream'], Event>>>()
  for (const each of some) {
    users.set(each.user, { ...users.get(each.user), [each.stream]: each })
  }
  return [...users].flatMap(([user, { profiles, positions }]) => {
    if (profiles?.stream !== 'profiles' || positions?.stream !== 'positions') return []
    if (profiles.value === null || positions.value === null) return []
    return [{ user, profile: profiles.value, place: positions.value, at: positions.at }]
  })
}

/** The straight line through the earth, bent: not the formula of the search. */
function metresBetween(one: Position, other: Position): number {
  const vector = ({ lat, lon }: Position) => {
    const [up, round] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180]
    return [Math.cos(up) * Math.cos(round), Math.cos(up) * Math.sin(round), Math.sin(up)]
  }
  const [a, b] = [vector(one), vector(other)]
  const chord = Math.hypot(...a.map((each, axis) => each - (b[axis] ?? 0)))
  return 2 * 6_371_008.8 * Math.asin(chord / 2)
}

/** Each search has to find whom it has to, and nobody else; between lie those who are as far away as the radius, but for the error. */
async function checkSearches(
  t: Test,
  host: Host,
  some: readonly Event[],
  searches: number,
): Promise<void> {
  const random = randomFrom(7)
  const now = some.at(-1)?.at ?? 0
  const everybody = lastOf(some)
  const seen = { found: 0, between: 0, worst: 0 }
  const wrong: object[] = []
  for (let n = 0; n < searches; n += 1) {
    const query = someQuery(random, now, n)
    const found = new Map((await search(reader(host), query)).map((each) => [each.user, each]))
    seen.found += found.size
    for (const { user, profile, place, at } of everybody) {
      const metres = metresBetween(query, place)
      const match = found.get(user)
      const isSure = metres < query.radius - errorMetres && at >= now - goneMs + refreshMs
      const isOut = metres > query.radius + errorMetres || at < now - goneMs
      const fits = isWanted(query, profile)
      if (match === undefined ? isSure && fits : isOut || !fits) wrong.push({ query, user, metres })
      if (fits && !isSure && !isOut) seen.between += 1
      if (match) seen.worst = Math.max(seen.worst, Math.abs(match.distance - metres))
      found.delete(user)
    }
    // Who is left is nobody's last position.
    for (const [user] of found) wrong.push({ query, user })
  }
  t.strictSame(
    wrong.slice(0, 5),
    [],
    `${searches} searches, ${seen.found} found, ${wrong.length} wrong`,
  )
  t.ok(seen.found > 10 * searches, `${seen.between} may be found or not`)
  t.ok(seen.worst < errorMetres, `distances wrong by ${seen.worst.toFixed(1)} m at most`)
  t.ok(seen.worst > errorMetres / 2, 'and the error is not stated larger than it is')
}

function someQuery(random: () => number, now: number, n: number): Query {
  const town = n % 4 === 0 ? towns.fiji : towns.berlin
  const lon = town.lon + 0.1 * (random() - 0.5)
  return {
    lat: town.lat + 0.1 * (random() - 0.5),
    lon: lon > 180 ? lon - 360 : lon,
    radius: 100 + 4_900 * random(),
    now,
    ...(random() < 0.5 && { minAge: 20 + Math.floor(10 * random()) }),
    ...(random() < 0.5 && { maxAge: 30 + Math.floor(30 * random()) }),
    ...(random() < 0.5 && { genders: random() < 0.5 ? ['f'] : ['m', 'x'] }),
  }
}

function isWanted({ minAge, maxAge, genders }: Query, { age, gender }: Profile): boolean {
  if (minAge !== undefined && age < minAge) return false
  if (maxAge !== undefined && age > maxAge) return false
  return genders === undefined || genders.some((each) => each === gender)
}

/** Nobody is in a cell but where the last position is, and everybody who is not gone is there. */
async function checkCells(t: Test, host: Host, some: readonly Event[]): Promise<void> {
  const now = some.at(-1)?.at ?? 0
  const entries = await host.table('cells').entries()
  const there = entries.flatMap(([cell, seen]) => seen.map(({ user }) => [user, cell] as const))
  const last = lastOf(some)
  const right = new Map(last.map(({ user, place }) => [user, geohash(place, 6)]))
  t.strictSame(
    there.filter(([user, cell]) => right.get(user) !== cell).slice(0, 5),
    [],
    `${there.length} people in ${entries.length} cells, each in the right one`,
  )
  t.equal(new Set(there.map(([user]) => user)).size, there.length, 'and in no other')
  const present = last.filter(({ at }) => at >= now - goneMs + refreshMs)
  const cellsOfUsers = new Map(there)
  t.strictSame(
    present.filter(({ user }) => !cellsOfUsers.has(user)).slice(0, 5),
    [],
    `all ${present.length} who have been heard of lately`,
  )
}

t.test('geohashes are those that everybody has', (t) => {
  t.equal(geohash({ lat: 57.64911, lon: 10.40744 }, 11), 'u4pruydqqvj')
  t.equal(geohash({ lat: 42.605, lon: -5.603 }, 5), 'ezs42')
  t.equal(geohash({ lat: -25.382708, lon: -49.265506 }, 8), '6gkzwgjz')
  t.equal(geohash({ lat: 10, lon: 180 }, 6), geohash({ lat: 10, lon: -180 }, 6))
  const { lat, lon } = centreOf('ezs42')
  t.match([lat.toFixed(3), lon.toFixed(3)], ['42.605', '-5.603'])
  const around = cellsAround({ lat: 0.0005, lon: 180 }, 100, 6)
  t.strictSame(around.sort(), ['2pbpbp', '800000', 'rzzzzz', 'xbpbpb'], 'where four corners meet')
  t.end()
})

t.test('a search finds whoever is near, and nobody else', async (t) => {
  t.ok(events.length >= 20_000, `${events.length} events`)
  await using host = await hostOf()
  await emitAll(host, events)
  await host.settled()
  await checkCells(t, host, events)
  await checkSearches(t, host, events, 200)

  // By the order in which the partitions come they differ a little: by whom a cell has dropped already.
  const readme = await readFile(`${root}/README.md`, 'utf8')
  const isAbout = (pattern: RegExp, measured: number) => {
    const said = Number(pattern.exec(readme)?.[1]?.replace(',', ''))
    t.ok(Math.abs(said / measured - 1) < 0.02, `${pattern.source}: ${measured}`)
  }
  const seen = (await host.table('cells').entries()).flatMap(([, all]) =>
    all.map((each) => ['', each] as const),
  )
  isAbout(/`people`, a row \| (\d+) /, averageBytes(await host.table('people').entries()))
  isAbout(/`cells`, a person \| (\d+) /, averageBytes(seen))
  const centres = Array.from({ length: 1_000 }, (_, n) => ({
    lat: 52.5 + n / 12_345,
    lon: 13 + n / 4_321,
  }))
  const reads = (metres: number) =>
    centres.reduce((sum, each) => sum + cellsAround(each, metres, 6).length, 0) / centres.length
  isAbout(/reads about (\d+) cells/, reads(1_000))
  isAbout(/takes, about (\d+),/, reads(5_000))
  isAbout(/about ([\d,]+) records/, host.stream('moves').records().length)
  t.match(readme, `${events.length.toLocaleString('en')} made-up records`)
})

t.test('so it does through crashes, lost tables and other owners', async (t) => {
  await using host = await hostOf({ seed: 3, faults: true })
  const some = events.slice(0, 6_400)
  await throughTrouble(host, some, (part) => emitAll(host, part))
  await host.settled()
  await checkCells(t, host, some)
  await checkSearches(t, host, some, 50)
})

t.test('who goes from cell to cell is in one of them at each moment', async (t) => {
  await using host = await hostOf({ seed: 5, faults: true })
  const random = randomFrom(5)
  const places = [13.405, 13.417, 13.429].map((lon) => ({ lat: 52.52, lon }))
  const names = [...new Set(places.map((place) => geohash(place, 6)))]
  t.equal(names.length, 3, 'three cells')
  const users = Array.from({ length: 8 }, (_, n) => `walker-${n}`)
  const somewhere = () => places[Math.floor(places.length * random())] ?? towns.berlin
  const at = new Map<string, Position>()
  const go = async (user: string) => {
    at.set(user, somewhere())
    await host.emit('positions', user, at.get(user) ?? null)
  }
  for (const user of users) await host.emit('profiles', user, { age: 30, gender: 'f' })
  for (const user of users) await go(user)
  await host.settled()

  const wrong: object[] = []
  const seen = new Map<string, number>()
  let twice = 0
  for (let round = 0; round < 40; round += 1) {
    // Several times at once, so that one is back before the cell in between knows.
    const going = users.flatMap((user) => [go(user), go(user), go(user)])
    let isDone = false
    const done = Promise.all(going)
      .then(() => host.settled())
      .finally(() => {
        isDone = true
      })
    while (!isDone) {
      const there = names.flatMap((name) => host.table('cells').get(name) ?? [])
      if (there.length > users.length) twice += 1
      const query = { ...towns.berlin, lon: 13.417, radius: 1_500, now: host.now() }
      const found = await search(reader(host), query)
      const whom = found.map(({ user }) => user).sort()
      const isOlder = found.some(({ user, seq }) => seq < (seen.get(user) ?? 0))
      if (whom.join() !== users.join() || isOlder) wrong.push({ round, found })
      for (const { user, seq } of found) seen.set(user, seq)
      await turn()
    }
    await done
  }
  t.strictSame(
    wrong.slice(0, 5),
    [],
    'each search has found everybody once, and nobody where he was earlier',
  )
  t.ok(twice > 100, `${twice} of them while somebody was in two cells`)
  for (const user of users) {
    const isIn = (name: string) =>
      host
        .table('cells')
        .get(name)
        ?.some((each) => each.user === user)
    const where = names.filter(isIn)
    t.strictSame(where, [geohash(at.get(user) ?? towns.berlin, 6)], `${user} is where he went last`)
  }
})

t.test('who goes away or is not heard of disappears, until he is back', async (t) => {
  await using host = await hostOf()
  const { lat, lon } = towns.berlin
  const near = async () => {
    await host.settled()
    const found = await search(reader(host), { lat, lon, radius: 500, now: host.now() })
    return found.map(({ user }) => user)
  }
  await host.emit('positions', 'alice', { lat, lon })
  t.strictSame(await near(), [], 'nobody knows who that is')
  await host.emit('profiles', 'alice', { age: 30, gender: 'f' })
  await host.emit('profiles', 'bob', { age: 40, gender: 'm' })
  await host.emit('positions', 'bob', { lat, lon: lon + 0.001 })
  t.strictSame(await near(), ['alice', 'bob'])
  await host.emit('positions', 'alice', null)
  t.strictSame(await near(), ['bob'], 'gone away')
  await host.emit('positions', 'alice', { lat, lon: lon + 0.002 })
  t.strictSame(await near(), ['bob', 'alice'], 'back again, a bit farther')

  await host.advance(goneMs / 2)
  await host.emit('positions', 'alice', { lat, lon: lon + 0.002 })
  await host.advance(goneMs / 2 + 1)
  t.strictSame(await near(), ['alice'], 'bob was not heard of')
  t.equal(
    host.table('cells').get(geohash({ lat, lon }, 6))?.length,
    2,
    'but nobody has touched his cell',
  )
  await host.emit('profiles', 'alice', null)
  t.strictSame(await near(), [], 'an account that is deleted')
  t.equal(await host.table('cells').size(), 0, 'the cell is empty, and is gone')
})

t.test('what cannot be is refused', async (t) => {
  await using host = await hostOf()
  await t.rejects(host.emit('positions', 'alice', { lat: 86, lon: 0 }), { code: 'BAD_VALUE' })
  await t.rejects(host.emit('profiles', 'alice', { age: 17, gender: 'f' }), { code: 'BAD_VALUE' })
  const wrong = [
    ...[0, -1, 5_001, Number.NaN].map((radius) => ({ ...towns.berlin, radius })),
    ...[86, -86, Number.NaN].map((lat) => ({ lat, lon: 0, radius: 100 })),
    { lat: 0, lon: 181, radius: 100 },
  ]
  for (const each of wrong) {
    await t.rejects(search(reader(host), { ...each, now: host.now() }), RangeError)
  }
})

t.test('the README draws and does what is true', (t) => checkReadme(t, root))
