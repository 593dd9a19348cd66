// The flights example: every figure of both tables, against a computation of its own from the same file.
import { cp, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { testFolder } from '../support/folder.js'

interface Flight {
  readonly origin: string
  readonly destination: string
  readonly delay: number
}

interface Delays {
  readonly version?: number
  readonly [figure: string]: number | undefined
}

const batchSize = 1000
const functions = ['airport-delays', 'route-delays'] as const

const file = new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets'))
const flights: readonly Flight[] = JSON.parse(await readFile(file, 'utf8'))
const batches = Array.from({ length: flights.length / batchSize }, (_, n) =>
  flights.slice(n * batchSize, (n + 1) * batchSize),
)

const keyOf = {
  'airport-delays': (flight: Flight) => flight.origin,
  'route-delays': (flight: Flight) => `${flight.origin}-${flight.destination}`,
}

/** All delays of a key first, then its figures: not the running sums of the functions. */
function expected(table: keyof typeof keyOf): Map<string, Delays> {
  const keys = new Set(flights.map(keyOf[table]))
  const groups = new Map([...keys].map((key): [string, number[]] => [key, []]))
  for (const flight of flights) groups.get(keyOf[table](flight))?.push(flight.delay)
  return new Map(
    [...groups].map(([key, minutes]) => {
      minutes.sort((a, b) => a - b)
      const totalDelay = minutes.reduce((sum, delay) => sum + delay, 0)
      const firstLate = minutes.findIndex((delay) => delay > 14)
      const late = firstLate === -1 ? 0 : minutes.length - firstLate
      return [
        key,
        {
          flights: minutes.length,
          totalDelay,
          worstDelay: minutes.at(-1),
          late,
          meanDelay: totalDelay / minutes.length,
          lateShare: late / minutes.length,
        },
      ]
    }),
  )
}

async function request<Body>(host: HostProcess, path: string, init?: RequestInit): Promise<Body> {
  const response = await fetch(host.url + path, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
  return JSON.parse(text)
}

async function emit(host: HostProcess, batch: readonly Flight[]): Promise<string> {
  const lines = batch.map((flight) => JSON.stringify({ key: flight.origin, value: flight }))
  const { token } = await request<{ token: string }>(host, '/emitters/flights', {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  return token
}

/** Waits until the table reflects all tokens, then reads the whole of it. */
async function table(
  host: HostProcess,
  name: string,
  tokens: readonly string[],
): Promise<Map<string, Delays>> {
  for (const token of tokens) {
    await request(host, `/views/${name}?limit=1&timeoutMs=60000&after=${encodeURIComponent(token)}`)
  }
  const response = await fetch(`${host.url}/views/${name}?limit=10000`, {
    headers: { accept: 'application/x-ndjson' },
  })
  const lines = (await response.text()).trim().split('\n')
  const entries = lines.map((line): { key: string; value: Delays } => JSON.parse(line))
  return new Map(entries.map(({ key, value }) => [key, value]))
}

/** The example's folder, to be changed. */
async function exampleCopy(t: Test): Promise<{ root: string; data: string }> {
  const folder = testFolder(t, { root: {} })
  const root = join(folder, 'root')
  await cp('examples/flights/functions', join(root, 'functions'), { recursive: true })
  return { root, data: join(folder, 'data') }
}

t.test('in a calm run all figures are those of the file', async (t) => {
  const { root, data } = await exampleCopy(t)
  await using host = await startHostProcess({ root, data })
  const tokens: string[] = []
  for (const batch of batches) tokens.push(await emit(host, batch))
  await host.ready()
  for (const name of functions) {
    const found = await table(host, name, tokens)
    const right = expected(name)
    t.strictSame([...found].sort(byKey), [...right].sort(byKey), `${name}: all ${right.size} keys`)
    t.strictSame([...found.keys()], [...right.keys()].sort(), 'in the order of the keys')
    const [key = '', value] = [...right][7] ?? []
    t.strictSame(await request(host, `/views/${name}/${key}`), value, 'and one alone')
  }
})

t.test('so they are after a hot swap and a kill -9 with both functions behind', async (t) => {
  const { root, data } = await exampleCopy(t)
  const tokens: string[] = []
  const swapped = batches.length / 2
  const killed = swapped + 4
  {
    const host = await startHostProcess({ command: 'dev', root, data })
    t.teardown(() => host.kill())
    for (const batch of batches.slice(0, swapped)) tokens.push(await emit(host, batch))

    const before = await statuses(host)
    // The second version is slow, each function more than the one before it: both have to fall behind.
    await edit(root, 'airport-delays', { slowMs: 1 })
    await edit(root, 'route-delays', { slowMs: 5 })
    await until(host, 'both functions run their second version', (now) =>
      now.every(({ version, state }, n) => state === 'running' && version !== before[n]?.version),
    )
    for (const batch of batches.slice(swapped, killed)) tokens.push(await emit(host, batch))
    const behind = await until(host, 'both functions are behind', (now) =>
      now.every(({ lag }) => lag > 0),
    )
    await host.kill()
    t.ok(
      behind.every(({ lag }) => lag > 0),
      `killed with ${behind.map(({ name, lag }) => `${name} ${lag} behind`).join(', ')}`,
    )
  }
  await edit(root, 'airport-delays', { slowMs: 0 })
  await edit(root, 'route-delays', { slowMs: 0 })
  await using host = await startHostProcess({ command: 'dev', root, data })
  for (const batch of batches.slice(killed)) tokens.push(await emit(host, batch))
  await host.ready()

  for (const name of functions) {
    const found = await table(host, name, tokens)
    const figures = [...found].map(([key, { version: _, ...rest }]) => [key, rest] as const)
    const right = [...expected(name)].sort(byKey)
    t.strictSame(figures.sort(byKey), right, `${name}: all ${right.length} keys`)
    const later = new Set(flights.slice(swapped * batchSize).map(keyOf[name]))
    t.strictSame(
      [...later].filter((key) => found.get(key)?.version !== 2),
      [],
      'every key that came after the swap was last written by the new version',
    )
  }
})

interface Status {
  readonly name: string
  readonly state: string
  readonly version: string
  readonly lag: number
}

function statuses(host: HostProcess): Promise<Status[]> {
  return Promise.all(functions.map((name) => request<Status>(host, `/functions/${name}`)))
}

async function until(
  host: HostProcess,
  what: string,
  holds: (now: readonly Status[]) => boolean,
): Promise<readonly Status[]> {
  const end = performance.now() + 30_000
  for (;;) {
    const now = await statuses(host)
    if (holds(now)) return now
    if (performance.now() > end) throw new Error(`never came: ${what}; ${JSON.stringify(now)}`)
    await pause(5)
  }
}

/** Saves a version that marks what it writes and takes its time for each record. */
async function edit(root: string, name: string, options: { slowMs: number }): Promise<void> {
  const path = join(root, 'functions', `${name}.ts`)
  const source = await readFile(join('examples/flights/functions', `${name}.ts`), 'utf8')
  const slow = `await new Promise((resolve) => setTimeout(resolve, ${options.slowMs}))\n`
  const edited = source
    .replace(/^ {4}(.+)\(ctx, \{.*\}\) \{\n/m, (head) => {
      return head.replace('    ', '    async ') + (options.slowMs > 0 ? slow : '')
    })
    .replace('interface Delays {', 'interface Delays {\n  version: number')
    .replace('ctx.set({', 'ctx.set({ version: 2,')
  if (!edited.includes('async ') || !edited.includes('version: 2')) {
    throw new Error(`${name} has changed: edit this test with it`)
  }
  // As editors save: nobody sees half a file.
  await writeFile(`${path}.saving`, edited)
  await rename(`${path}.saving`, path)
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
