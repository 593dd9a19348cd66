// User segmentation: does each event count once, and are the segments worth more than a guess?
import { readFile } from 'node:fs/promises'
import { testHost } from 'millrace/testing'
import t from 'tap'
import {
  type Event,
  makeEvents,
  shownEvents,
} from '../../../examples/systems/user-segmentation/events.js'
import model from '../../../examples/systems/user-segmentation/functions/model.js'
import profiles from '../../../examples/systems/user-segmentation/functions/profiles.js'
import segments from '../../../examples/systems/user-segmentation/functions/segments.js'
import shards from '../../../examples/systems/user-segmentation/functions/shards.js'
import { averageBytes } from '../../support/entries.js'
import { checkReadme } from '../../support/example-readme.js'
import { grouped } from '../../support/grouped.js'
import { throughTrouble } from '../../support/trouble.js'
import { checkLinks, type Host, recordsOf } from './user-segmentation/links.js'
import { firstModel, type Matrix, profileOf } from './user-segmentation/profiles.js'
import { guessBy, kMeans, mode, nearest, shareOf } from './user-segmentation/quality.js'

const root = 'examples/systems/user-segmentation'
const { events, heldOut, kinds, changed } = makeEvents(shownEvents)
const usersOf = (some: readonly Event[]): string[] => [...new Set(some.map(({ user }) => user))]
const [known, guests] = [usersOf(events), usersOf(heldOut)]
const kindOf = (user: string) => kinds.get(user)

const hostOf = (options: Parameters<typeof testHost>[1] = {}) =>
  testHost({ profiles, shards, model, segments }, { timeoutMs: 120_000, ...options })

async function emitAll(host: Host, some: readonly Event[]): Promise<void> {
  await Promise.all(some.map(({ user, category }) => host.emit('events', user, { category })))
}

/** So that what is learned of earlier events is known at later ones. */
async function emitInTime(host: Host, some: readonly Event[]): Promise<void> {
  for (let next = 0; next < some.length; next += 500) {
    await emitAll(host, some.slice(next, next + 500))
    await host.settled()
  }
}

t.test('the events have what makes it hard', async (t) => {
  t.ok(events.length + heldOut.length >= 20_000, `${events.length + heldOut.length} events`)
  t.ok(changed.size > 50, `${changed.size} users change`)
  t.equal(new Set(kinds.values()).size, 5)
})

t.test('each event counts once, and the segments say more than a guess', async (t) => {
  await using host = await hostOf()
  const segmentOf = (user: string) => host.table('segments').get(user)?.segment
  await emitInTime(host, events)
  const following = known.filter((user) => changed.has(user))
  const followed = shareOf(following, guessBy(segmentOf, known, kindOf), kindOf)
  // What a segment means is told by known users alone, before any other is seen.
  const meanings = new Map(known.map((user) => [user, segmentOf(user)]))
  await emitInTime(host, heldOut)
  const guess = guessBy((user) => meanings.get(user) ?? segmentOf(user), known, kindOf)
  const accuracy = shareOf(guests, guess, kindOf)

  await checkLinks(t, host, [...events, ...heldOut])
  const versions = new Set(recordsOf(host, 'assignments').map(({ value }) => value.version))
  t.ok(versions.size > 30, `${versions.size} versions were assigned by`)
  const seen = recordsOf(host, 'batches').flatMap(({ value }) => value.profiles.flat())
  const remembered = host.table('model').get('model')?.events.flat() ?? []
  const total = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0)
  t.ok(total(remembered) < 0.7 * total(seen), 'segments have forgotten something')

  const largest = mode(known.map(kindOf))
  const constant = shareOf(guests, () => largest, kindOf)
  const own = (user: string) => profileOf(host.table('profiles').get(user)?.recent ?? [])
  const by = (other: Matrix) =>
    shareOf(
      guests,
      guessBy((user) => nearest(other, own(user)), known, kindOf),
      kindOf,
    )
  const [untaught, offline] = [by(firstModel), by(kMeans(known.map(own)))]
  t.ok(accuracy > 2 * constant, `${accuracy}; a guess ${constant}`)
  t.ok(accuracy > untaught + 0.1, `nothing learned ${untaught}`)
  t.ok(accuracy > offline - 0.08, `all at once ${offline}`)
  t.ok(followed > 0.7, `${followed} of those who have changed`)

  // Changes, were there no second look.
  const assigned = grouped(recordsOf(host, 'assignments'), ({ key }) => key)
  const jumps = [...assigned.values()].flatMap((own) =>
    own.filter(({ value }, n) => n > 0 && value.segment !== own[n - 1]?.value.segment),
  ).length
  const changes = host.stream('changes').size - assigned.size
  t.ok(changes < 0.7 * jumps, `${changes} changes, ${jumps} jumps`)

  const readme = await readFile(`${root}/README.md`, 'utf8')
  const says = (text: string) => t.ok(readme.includes(text), `the README says: ${text}`)
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`
  says(`${(events.length + heldOut.length).toLocaleString('en')} events`)
  says(`| always the largest kind | ${percent(constant)} |`)
  says(`| the first model, nothing learned | ${percent(untaught)} |`)
  says(`| k-means over all users at once | ${percent(offline)} |`)
  // By which version a sample was assigned depends on how the functions took turns, and what follows from it does so, too.
  const isAbout = (value: number, before: string, within: number) => {
    const stated = Number.parseFloat(readme.split(before).at(-1)?.replace(',', '') ?? '')
    t.ok(Math.abs(value - stated) <= within, `the README says: ${before}${stated}, it is ${value}`)
  }
  isAbout(changes, 'the 600 users change ', 0.1 * changes)
  isAbout(jumps, 'without the second look ', 0.1 * jumps)
  isAbout(100 * accuracy, '| these segments | ', 3)
  isAbout(100 * followed, `Of the ${following.length} known users who change `, 3)
  for (const table of ['profiles', 'shards', 'model', 'segments'] as const) {
    const bytes = averageBytes(await host.table(table).entries())
    isAbout(bytes, `| \`${table}\` | `, 0.03 * bytes)
  }
})

t.test('so it does through crashes, lost tables and other owners', async (t) => {
  await using host = await hostOf({ seed: 2, faults: true })
  const some = events.slice(0, 8_000)
  await throughTrouble(host, some, (part) => emitAll(host, part))
  await host.settled()
  await checkLinks(t, host, some)
})

t.test('what is no category is refused where it is sent', async (t) => {
  await using host = await hostOf()
  const wrong = { category: 'knitting' } as unknown as { category: 'news' }
  await t.rejects(host.emit('events', 'alice', wrong), { code: 'BAD_VALUE' })
})

t.test('the README draws and does what is true', (t) => checkReadme(t, root))
