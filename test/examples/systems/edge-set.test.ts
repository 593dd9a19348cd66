// The edge set against the interactions themselves, all grouped at once: in calm, through crashes, and over HTTP as the README shows.
import { readFile } from 'node:fs/promises'
import type { KeyOf } from 'millrace'
import { testHost } from 'millrace/testing'
import t, { type Test } from 'tap'
import { sideKey } from '../../../examples/systems/edge-set/edge.js'
import { type Interaction, interactions, shown } from '../../../examples/systems/edge-set/events.js'
import contacts from '../../../examples/systems/edge-set/functions/contacts.js'
import edges from '../../../examples/systems/edge-set/functions/edges.js'
import senders from '../../../examples/systems/edge-set/functions/senders.js'
import { averageBytes, isSame } from '../../support/entries.js'
import { checkReadme } from '../../support/example-readme.js'
import { grouped } from '../../support/grouped.js'
import { throughTrouble } from '../../support/trouble.js'

const root = 'examples/systems/edge-set'
const events = [...interactions(shown)]

const hostOf = (options: Parameters<typeof testHost>[1] = {}) =>
  testHost({ senders, edges, contacts }, { timeoutMs: 60_000, ...options })
type Host = Awaited<ReturnType<typeof hostOf>>

async function emitAll(host: Host, some: readonly Interaction[]): Promise<void> {
  await Promise.all(
    some.map(({ from, at, ...value }) => host.emit('interactions', from, value, { timestamp: at })),
  )
}

/** Each id of a sender once, and nothing that somebody has sent to himself. */
function counted(all: readonly Interaction[]): Interaction[] {
  const byId = grouped(all, ({ from, id }) => JSON.stringify([from, id]))
  return [...byId.values()].flatMap(([first]) => first ?? []).filter(({ from, to }) => from !== to)
}

function tallyOf(direction: readonly Interaction[]) {
  const number = (wanted: string) => direction.filter(({ kind }) => kind === wanted).length
  const last = Math.max(...direction.map(({ at }) => at))
  return { view: number('view'), like: number('like'), message: number('message'), last }
}

/** Each user's side of each pair, from all that went to and fro. */
function sidesOf(all: readonly Interaction[]) {
  const directions = grouped(all, ({ from, to }) => JSON.stringify([from, to]))
  const pairs = new Set(
    all.flatMap(({ from, to }) => [JSON.stringify([from, to]), JSON.stringify([to, from])]),
  )
  return [...pairs].map((pair) => {
    const [user, other]: [string, string] = JSON.parse(pair)
    const sent = directions.get(pair)
    const received = directions.get(JSON.stringify([other, user]))
    const edge = {
      ...(sent && { sent: tallyOf(sent) }),
      ...(received && { received: tallyOf(received) }),
    }
    return { user, other, edge }
  })
}

/** Keys as they lie in the log. */
const asText = <Value>(entries: readonly (readonly [Side, Value])[]): [string, Value][] =>
  entries.map(([key, value]) => [sideKey.encode(key), value])

type Side = KeyOf<(typeof sideKey)['parts']>

async function checkTables(t: Test, host: Host, all: readonly Interaction[]): Promise<void> {
  const sides = sidesOf(counted(all))
  const rows = sides.map(
    ({ user, other, edge }) => [sideKey.encode({ user, other }), edge] as const,
  )
  isSame(t, asText(await host.table('edges').entries()), rows, 'edges')
  const totals = [...grouped(sides, ({ user }) => user)].map(([user, own]) => {
    const mutual = own.filter(({ edge }) => edge.sent && edge.received).length
    return [user, { contacts: own.length, mutual }] as const
  })
  isSame(t, await host.table('contacts').entries(), totals, 'contacts')
}

t.test('the events have what makes it hard', async (t) => {
  t.ok(events.length >= 20_000, `${events.length} events`)
  const distinct = counted(events)
  t.ok(
    events.length - distinct.length > 500,
    `${events.length - distinct.length} that do not count`,
  )
  const both = sidesOf(distinct).filter(({ edge }) => edge.sent && edge.received)
  t.ok(both.length > 1_000, `${both.length} edges with both directions`)
  t.ok(
    events.some(({ at }, n) => at < (events[n - 1]?.at ?? 0)),
    'not in the order of time',
  )
})

t.test('each interaction counts once on each side', async (t) => {
  await using host = await hostOf()
  await emitAll(host, events)
  await host.settled()
  await checkTables(t, host, events)

  const sides = sidesOf(counted(events))
  for (const user of ['user-0', 'user-1', 'user-100']) {
    const own = sides.filter((side) => side.user === user)
    const rows = own.map(({ other, edge }) => [sideKey.encode({ user, other }), edge] as const)
    const found = await host.table('edges').entries({ prefix: sideKey.prefix({ user }) })
    isSame(t, asText(found), rows, `edges of ${user}`)
  }

  const readme = await readFile(`${root}/README.md`, 'utf8')
  const tables = {
    senders: await host.table('senders').entries(),
    edges: asText(await host.table('edges').entries()),
    contacts: await host.table('contacts').entries(),
  }
  for (const [name, entries] of Object.entries<[string, unknown][]>(tables)) {
    const bytes = averageBytes(entries)
    t.match(
      readme,
      new RegExp(`^\\| \`${name}\` \\| \\S+ \\| ${bytes} \\|`, 'm'),
      `${name}: ${bytes} bytes a row`,
    )
  }
  t.match(readme, `${events.length.toLocaleString('en')} made-up interactions`)
  t.match(readme, `${sides.length.toLocaleString('en')} edges`)
})

t.test('so it does through crashes, lost tables and other owners', async (t) => {
  await using host = await hostOf({ seed: 3, faults: true })
  const some = events.slice(0, 8_000)
  await throughTrouble(host, some, (part) => emitAll(host, part))
  await host.settled()
  await checkTables(t, host, some)
})

t.test('no name gets into the edges of another', async (t) => {
  await using host = await hostOf()
  const names = ['a', 'a!b', 'a"Qb', 'a"', 'b!', '!', '"', 'ä b', 'user']
  const pairs = names.flatMap((from) => names.map((to) => ({ from, to })))
  const all = pairs.map(
    ({ from, to }, n) => ({ from, to, kind: 'like', id: `${n}`, at: n }) as const,
  )
  await emitAll(host, all)
  await host.settled()
  await checkTables(t, host, all)
  for (const name of names) {
    const found = await host.table('edges').keys({ prefix: sideKey.prefix({ user: name }) })
    t.equal(found.length, names.length - 1, name)
  }
})

t.test('what is no interaction is refused where it is sent', async (t) => {
  await using host = await hostOf()
  const wrong = { id: '1', to: 'bob', kind: 'wink' } as unknown as {
    id: string
    to: string
    kind: 'like'
  }
  await t.rejects(host.emit('interactions', 'alice', wrong), { code: 'BAD_VALUE' })
})

t.test('the README draws and does what is true', (t) => checkReadme(t, root))
