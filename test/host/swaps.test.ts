// A thousand swaps under load, in a host of its own: totals exact, nothing held on to.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { ProcessSample } from '#bench/sampler.js'
import { steadyMalloc } from '#host/supervisor/malloc.js'
import { testFolder } from '../support/folder.js'
import { until } from '../support/until.js'

/** `MILLRACE_TEST_SWAPS=1000` for the whole thing; fewer say the same of everything but slow growth. */
const swaps = Number(process.env.MILLRACE_TEST_SWAPS ?? 100)
const names = ['first', 'second'] as const
type Name = (typeof names)[number]
/** Besides the main one. */
const threads = [...names, 'log'] as const

/** Each version has a timer and work that is still pending when it goes. */
const sources: Readonly<Record<Name, (round: number) => string>> = {
  first: (round) => `
import { setTimeout as wait } from 'node:timers/promises'
import { defineProcessor, json } from 'millrace'
const held = new Map(Array.from({ length: 1_000 }, (_, n) => [n, { n }]))
setInterval(() => held.size, 1_000)
void wait(1e6).then(() => held.clear())
export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number; round: number }>(),
  outputs: { pages: json<number>() },
  on: {
    async clicks(ctx, click) {
      if (ctx.offset % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      ctx.set({ count: (ctx.get()?.count ?? 0) + 1, round: ${round} })
      ctx.emit('pages', click.page, 1)
    },
  },
})`,
  second: (round) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { pages: json<number>() },
  table: json<{ count: number; round: number }>(),
  on: {
    pages(ctx, one) {
      ctx.set({ count: (ctx.get()?.count ?? 0) + one, round: ${round} })
    },
  },
})`,
}

const keys = Array.from({ length: 21 }, (_, n) => ({ key: `k${n}`, page: `p${n % 7}` }))
const body = keys.map(({ key, page }) => JSON.stringify({ key, value: { page } })).join('\n')

async function startSampledHost(t: Test, root: string) {
  const file = (name: string) => fileURLToPath(import.meta.resolve(`#bench/${name}`))
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--import', file('sampler.js'), file('sampled-host.js'), root],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: steadyMalloc(process.env) },
  )
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  const [url] = (await once(child, 'message')) as [string]
  return {
    url,
    async sample(): Promise<ProcessSample> {
      const answer = once(child, 'message')
      // The log's, too: what it has not collected yet, up to 100 MB of buffers, is not held on to.
      child.send(threads)
      const [sample] = (await answer) as [ProcessSample]
      return sample
    },
  }
}

t.test(`${swaps} swaps under load`, { timeout: 1_200_000 }, async (t) => {
  const buffers = { writeBufferBytes: 256 * 1024, blockCacheBytes: 1024 * 1024 }
  // Small, so that they are full, and emptied, many times: what grows behind them shows.
  const config = { log: buffers, tables: buffers }
  const root = testFolder(t, { functions: {}, 'host.config.json': JSON.stringify(config) })
  const save = (name: Name, round: number) =>
    writeFileSync(join(root, 'functions', `${name}.ts`), sources[name](round))
  for (const name of names) save(name, 0)
  const host = await startSampledHost(t, root)
  await fillBuffers(host.url)
  let isOver = false
  /** Settles when the load may go on. */
  let rest: Promise<void> = Promise.resolve()
  let posted = 0
  let token = ''
  const load = async () => {
    while (!isOver) {
      await rest
      const response = await fetch(`${host.url}/emitters/clicks`, { method: 'POST', body })
      if (response.status !== 201) throw new Error(await response.text())
      token = ((await response.json()) as { token: string }).token
      posted += 1
      await pause(10)
    }
  }
  const loading = load()
  const statusOf = async (name: Name) =>
    (await (await fetch(`${host.url}/functions/${name}`)).json()) as { swaps: number; lag: number }
  const swapsOf = async (name: Name): Promise<number> => (await statusOf(name)).swaps
  /** What is on its way through the host comes and goes by megabytes: it is looked at when there is nothing. */
  const restingSample = async () => {
    let goOn = () => {}
    rest = new Promise((resolve) => {
      goOn = resolve
    })
    const before = posted
    // One may be under way.
    await until('the last batch is answered', async () => {
      await pause(30)
      const isSame = posted === before || posted === before + 1
      return isSame && (await statusOf('first')).lag === 0 && (await statusOf('second')).lag === 0
    })
    const sample = await host.sample()
    goOn()
    return sample
  }

  const samples: { round: number; sample: ProcessSample }[] = []
  for (let round = 1; round <= swaps; round += 1) {
    const name = round % 2 === 1 ? 'first' : 'second'
    save(name, round)
    await until(`swap ${round}`, async () => (await swapsOf(name)) >= Math.ceil(round / 2))
    if (round % 10 === 0) samples.push({ round, sample: await restingSample() })
  }
  isOver = true
  await loading

  const counts = async (table: string, of: readonly string[]) => {
    const response = await fetch(`${host.url}/views/${table}?after=${token}&timeoutMs=60000`, {
      method: 'POST',
      body: JSON.stringify({ keys: of }),
    })
    const found = (await response.json()) as Record<string, { count: number }>
    return of.map((key) => found[key]?.count)
  }
  const clicked = keys.map(({ key }) => key)
  const pages = [...new Set(keys.map(({ page }) => page))]
  t.same(
    await counts('first', clicked),
    clicked.map(() => posted),
    'each click counts once',
  )
  t.same(
    await counts('second', pages),
    pages.map(() => posted * 3),
    'and each page',
  )

  const half = samples.filter(({ round }) => round > swaps / 2)
  for (const thread of ['main', ...threads]) {
    const of = (sample: ProcessSample) => sample.threads.find((each) => each.thread === thread)
    const slope = slopeOf(half.map(({ round, sample }) => [round, of(sample)?.heapBytes ?? 0]))
    t.comment(`heap of ${thread}: ${Math.round(slope)} bytes a swap`)
    // Fewer tell little: the heap of a host that has just started grows by itself.
    if (swaps >= 1_000)
      t.ok(slope < 10_000, `${thread} holds on to ${Math.round(slope)} bytes of heap a swap`)
  }
  // The load is over: what it had opened closes by itself, what versions have left behind does not.
  const middle = samples[Math.floor(samples.length / 2)]?.sample
  for (const kind of ['resources', 'listeners'] as const) {
    let more = ['nothing was looked at']
    const isBack = async () => {
      more = moreThan(middle, await host.sample(), kind)
      return more.length === 0
    }
    // In vain: what there is more of says it better.
    await until('there are no more', isBack).catch(() => {})
    t.same(more, [], `no thread has more ${kind} than before`)
  }
  const rss = slopeOf(half.map(({ round, sample }) => [round, sample.anonymousBytes]))
  t.comment(`MB: ${half.map(({ sample }) => (sample.anonymousBytes / 1e6).toFixed(1)).join(' ')}`)
  t.comment(`memory of the process without pages of files: ${Math.round(rss)} bytes a swap`)
  if (swaps >= 1_000) t.ok(rss < 10_000, `the process takes ${Math.round(rss)} bytes more a swap`)
})

/** Of each thread and kind, such as timers: those of which there are more. */
function moreThan(
  before: ProcessSample | undefined,
  now: ProcessSample,
  kind: 'resources' | 'listeners',
): string[] {
  return now.threads.flatMap(({ thread, [kind]: counts }) => {
    const had = before?.threads.find((each) => each.thread === thread)?.[kind] ?? {}
    return Object.entries(counts)
      .filter(([name, count]) => count > (had[name] ?? 0))
      .map(([name, count]) => `${thread}: ${count} ${name}, not ${had[name] ?? 0}`)
  })
}

/** Caches and buffers take up memory as they fill for the first time. */
async function fillBuffers(url: string): Promise<void> {
  const padding = 'x'.repeat(400)
  let token = ''
  for (let batch = 0; batch < 60; batch += 1) {
    const lines = Array.from({ length: 1_000 }, (_, n) =>
      JSON.stringify({
        key: `fill-${batch}-${n}-${padding}`,
        value: { page: `fill-${batch}-${n}-${padding}` },
      }),
    )
    const response = await fetch(`${url}/emitters/clicks`, {
      method: 'POST',
      body: lines.join('\n'),
    })
    token = ((await response.json()) as { token: string }).token
  }
  const read = await fetch(`${url}/views/second/none?after=${token}&timeoutMs=60000`)
  if (read.status !== 404) throw new Error(await read.text())
}

/** Of the line through the points that lies nearest to all of them. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}
