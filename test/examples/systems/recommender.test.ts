// The recommender against a matrix of all pairs, made at once: counts, rankings, and whether they are worth more than popularity.
import { readFile } from 'node:fs/promises'
import { testHost } from 'millrace/testing'
import t, { type Test } from 'tap'
import { randomFrom } from '../../../examples/systems/random.js'
import { type Counts, count } from '../../../examples/systems/recommender/counts.js'
import { type Like, makeLikes, shownLikes } from '../../../examples/systems/recommender/events.js'
import chart from '../../../examples/systems/recommender/functions/chart.js'
import histories from '../../../examples/systems/recommender/functions/histories.js'
import neighbours from '../../../examples/systems/recommender/functions/neighbours.js'
import recommendations from '../../../examples/systems/recommender/functions/recommendations.js'
import { averageBytes, isSame } from '../../support/entries.js'
import { checkReadme } from '../../support/example-readme.js'
import { throughTrouble } from '../../support/trouble.js'

const root = 'examples/systems/recommender'
const { likes, heldOut } = makeLikes(shownLikes)

const hostOf = (options: Parameters<typeof testHost>[1] = {}) =>
  testHost({ histories, neighbours, recommendations, chart }, { timeoutMs: 120_000, ...options })
type Host = Awaited<ReturnType<typeof hostOf>>

async function emitAll(host: Host, some: readonly Like[]): Promise<void> {
  await Promise.all(some.map(({ user, item }) => host.emit('likes', user, { item })))
}

async function visitAll(host: Host, users: readonly string[]): Promise<void> {
  await Promise.all(users.map((user) => host.emit('visits', user, {})))
  await host.settled()
}

/** How many likes of a user are remembered, items of an answer, of a ranking, of the chart; what is added to an item's likes. */
const [remembered, answered, ranked, charted, doubt] = [6, 15, 10, 50, 10]

/** Item by item: on the diagonal how often each was liked, beside it how often two were liked together. */
interface Matrix {
  readonly items: readonly string[]
  readonly cells: readonly Int32Array[]
  /** What each user said that was not said before, oldest first. */
  readonly said: ReadonlyMap<string, readonly number[]>
}

function matrixOf(some: readonly Like[]): Matrix {
  const items = [...new Set(some.map(({ item }) => item))].sort()
  const numbers = new Map(items.map((item, index) => [item, index]))
  const cells = items.map(() => new Int32Array(items.length))
  const said = new Map<string, number[]>()
  for (const { user, item } of some) {
    const own = said.get(user) ?? []
    said.set(user, own)
    const index = numbers.get(item) ?? -1
    if (!own.slice(-remembered).includes(index)) own.push(index)
  }
  const add = (row: number, column: number) => {
    const cell = cells[row]
    if (cell !== undefined) cell[column] = (cell[column] ?? 0) + 1
  }
  for (const own of said.values()) {
    for (const [last, item] of own.entries()) {
      add(item, item)
      for (const other of own.slice(Math.max(0, last - remembered + 1), last)) {
        add(item, other)
        add(other, item)
      }
    }
  }
  return { items, cells, said }
}

/** Indexes are in the order of names, and sorting is stable: equal ones by name. */
const descending = (values: readonly number[]): number[] =>
  values.map((_, index) => index).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0))

const likesOf = ({ cells }: Matrix): number[] => cells.map((row, index) => row[index] ?? 0)

function neighboursOf({ items, cells }: Matrix, of: number): [string, number][] {
  const together = [...(cells[of] ?? [])].map((number, index) => (index === of ? 0 : number))
  return descending(together)
    .map((index): [string, number] => [items[index] ?? '', together[index] ?? 0])
    .filter(([, number]) => number > 0)
}

/** The largest of 1, and a tenth more each time, that it has come to. */
function toldOf(number: number): number {
  let told = 1
  for (let next = 2; next <= number; next += 1) if (next / told >= 1.1) told = next
  return told
}

/** A row of scores for all items at once. */
function rankingOf(matrix: Matrix, user: string): { item: string; score: number }[] {
  const { items, cells, said } = matrix
  const liked = said.get(user)?.slice(-remembered) ?? []
  const scores = items.map(() => 0)
  for (const own of liked) {
    const together = [...(cells[own] ?? [])].map((number, index) => (index === own ? 0 : number))
    for (const index of descending(together).slice(0, answered)) {
      const known = (cells[own]?.[own] ?? 0) + doubt
      const share = Math.round((1e6 * (together[index] ?? 0)) / known)
      scores[index] = (scores[index] ?? 0) + share
    }
  }
  for (const own of liked) scores[own] = 0
  return descending(scores)
    .filter((index) => (scores[index] ?? 0) > 0)
    .slice(0, ranked)
    .map((index) => ({ item: items[index] ?? '', score: (scores[index] ?? 0) / 1e6 }))
}

async function checkTables(t: Test, host: Host, matrix: Matrix): Promise<void> {
  const { items, said } = matrix
  const numbers = likesOf(matrix)
  await checkRounds(t, host)
  const newest = [...said].map(([user, own]): [string, string[]] => {
    const last = own.slice(-remembered).reverse()
    return [user, last.map((index) => items[index] ?? '')]
  })
  const remember = (await host.table('histories').entries()).map(
    ([user, history]) => [user, history.items] as const,
  )
  isSame(t, remember, newest, 'what users liked last')
  const model = items.map((item, index) => {
    const state = { likes: numbers[index] ?? 0, told: toldOf(numbers[index] ?? 0) }
    return [item, { ...state, together: neighboursOf(matrix, index) }] as const
  })
  isSame(t, await host.table('neighbours').entries(), model, 'items with their neighbours')
  const told = numbers.map(toldOf)
  const top = descending(told).map((index) => [items[index] ?? '', told[index] ?? 0])
  t.strictSame(host.table('chart').get('all'), top.slice(0, charted), 'the chart')
}

/** Whatever the items knew when they were asked: each user has the answers of his last round, all of them. */
async function checkRounds(t: Test, host: Host): Promise<void> {
  const found = await host.table('recommendations').entries()
  const shown = found.map(([user, { round, pending }]) => [user, { round, pending }] as const)
  const asked = (await host.table('histories').entries()).map(
    ([user, { round }]) => [user, { round, pending: undefined }] as const,
  )
  isSame(t, shown, asked, 'rounds')
}

async function checkRankings(t: Test, host: Host, matrix: Matrix): Promise<void> {
  const right = [...matrix.said.keys()].map((user) => {
    const round = host.table('histories').get(user)?.round
    return [user, { round, items: rankingOf(matrix, user) }] as const
  })
  isSame(t, await host.table('recommendations').entries(), right, 'rankings')
}

t.test('the likes have what makes it hard', async (t) => {
  t.ok(likes.length >= 20_000, `${likes.length} likes`)
  t.equal(heldOut.length, shownLikes.users)
  const { said } = matrixOf(likes)
  const counted = [...said.values()].reduce((sum, own) => sum + own.length, 0)
  t.ok(likes.length - counted > 500, `${likes.length - counted} repeat what was said`)
  const forgetful = [...said.values()].filter((own) => own.length > remembered)
  t.ok(forgetful.length > 500, `${forgetful.length} users say more than is remembered`)
})

t.test('it learns each like once, and foresees more than popularity does', async (t) => {
  await using host = await hostOf()
  await emitAll(host, likes)
  await host.settled()
  const matrix = matrixOf(likes)
  await checkTables(t, host, matrix)
  await visitAll(host, [...matrix.said.keys()])
  await checkRankings(t, host, matrix)

  const byPopularity = descending(likesOf(matrix)).map((index) => matrix.items[index] ?? '')
  const foresees = (ranking: (user: string) => readonly string[]) =>
    heldOut.filter(({ user, item }) => ranking(user).includes(item)).length / heldOut.length
  const own = foresees((user) => {
    return (
      host
        .table('recommendations')
        .get(user)
        ?.items.map(({ item }) => item) ?? []
    )
  })
  // The better guess of popularity: it leaves out all that a user has liked, also what the recommender has forgotten.
  const popular = foresees((user) => {
    const liked = matrix.said.get(user)?.map((index) => matrix.items[index])
    return byPopularity.filter((item) => !liked?.includes(item)).slice(0, ranked)
  })
  t.ok(own > 2 * popular, `${own} of the likes held out, by popularity ${popular}`)
  const readme = await readFile(`${root}/README.md`, 'utf8')
  const says = (text: string) => t.ok(readme.includes(text), `the README says: ${text}`)
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  says(`| this recommender | ${percent(own)} |`)
  says(`| the most popular | ${percent(popular)} |`)
  says(`${likes.length.toLocaleString('en')} likes`)
  for (const table of ['histories', 'recommendations', 'neighbours'] as const) {
    const bytes = averageBytes(await host.table(table).entries()).toLocaleString('en')
    says(`| \`${table}\` | ${bytes} B`)
  }
})

t.test('so it does through crashes, lost tables and other owners', async (t) => {
  await using host = await hostOf({ seed: 5, faults: true })
  const some = likes.slice(0, 4_000)
  await throughTrouble(host, some, (part) => emitAll(host, part))
  await host.settled()
  const matrix = matrixOf(some)
  await checkTables(t, host, matrix)
  await visitAll(host, [...matrix.said.keys()])
  await checkRankings(t, host, matrix)
})

t.test(
  'with too many neighbours the often ones are kept, and counts are off by little',
  async (t) => {
    const [random, limit, total] = [randomFrom(3), 20, 5_000]
    const exact = new Map<string, number>()
    const counts: Counts = []
    for (let n = 0; n < total; n += 1) {
      const item = `film-${Math.floor(200 * random() ** 4)}`
      exact.set(item, (exact.get(item) ?? 0) + 1)
      count(counts, item, limit)
    }
    t.equal(counts.length, limit)
    const kept = new Map(counts)
    const smallest = Math.min(...kept.values())
    t.ok(smallest <= total / limit && exact.size > 5 * limit, `at most ${smallest} too high`)
    for (const [item, number] of exact) {
      const error = (kept.get(item) ?? smallest) - number
      if (error < 0 || error > smallest) t.fail(`${item}: ${kept.get(item)} of ${number}`)
    }
    const order = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    t.strictSame(counts, order, 'the largest first')
  },
)

t.test('the README draws and does what is true', (t) => checkReadme(t, root))
