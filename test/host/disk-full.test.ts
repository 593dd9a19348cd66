// A full disk, met for real: emits are refused, nothing that was acknowledged is lost, and all goes on by itself.
import { symlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { testFolder } from '../support/folder.js'
import { smallDisk } from '../support/small-disk.js'
import { until } from '../support/until.js'

const functions = {
  'counter.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { events: json<{ id: string; pad: string }>() },
  table: json<{ count: number; pad: string }>(),
  outputs: { ids: json<number>() },
  on: {
    events(ctx, { id, pad }) {
      ctx.set({ count: (ctx.get()?.count ?? 0) + 1, pad })
      ctx.emit('ids', id, 1)
    },
  },
})`,
  'seen.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { ids: json<number>() },
  table: json<number>(),
  on: { ids: (ctx, one) => ctx.set((ctx.get() ?? 0) + one) },
})`,
}

const mebibyte = 1024 * 1024
const keys = 8

/** Emits without end, and knows what became of each. */
class Emitter {
  readonly acknowledged = new Set<string>()
  /** Refused with the word that nothing was written. */
  readonly refused = new Set<string>()
  /** Without an answer, or with one that does not tell. */
  readonly unknown = new Set<string>()
  readonly codes = new Set<string>()
  url: string
  #next = 0
  #isOver = false
  readonly #loops: Promise<void>[]

  constructor(url: string) {
    this.url = url
    this.#loops = [0, 1, 2].map(() => this.#loop())
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }

  async emit(): Promise<string | undefined> {
    const id = `e${this.#next}`
    const key = `key-${this.#next % keys}`
    this.#next += 1
    const body = JSON.stringify({ id, pad: id.repeat(100) })
    try {
      const response = await fetch(`${this.url}/emitters/events/${key}`, {
        method: 'POST',
        body,
        signal: AbortSignal.timeout(20_000),
      })
      const answer = (await response.json()) as { token: string; error: { code: string } }
      if (response.status === 201) {
        this.acknowledged.add(id)
        return answer.token
      }
      this.codes.add(answer.error.code)
      if (answer.error.code === 'DISK_FULL') this.refused.add(id)
      else this.unknown.add(id)
    } catch {
      this.unknown.add(id)
    }
    return undefined
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      if ((await this.emit()) === undefined) await pause(5)
    }
  }
}

async function get(host: HostProcess, path: string) {
  const response = await fetch(host.url + path)
  const body = (await response.json()) as { error: { code: string; message: string } | null }
  return { status: response.status, body }
}

async function list(host: HostProcess, table: string, token: string) {
  const response = await fetch(`${host.url}/views/${table}?after=${token}&timeoutMs=60000`, {
    headers: { accept: 'application/x-ndjson' },
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(text)
  const lines: { key: string; value: unknown }[] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  return new Map(lines.map(({ key, value }) => [key, value]))
}

async function totalsAreExact(t: Test, host: HostProcess, emitter: Emitter) {
  // One more for each key: behind all of its partition that was acknowledged before.
  let [token, seen] = ['', new Map<string, unknown>()]
  for (let n = 0; n < keys; n += 1) {
    token = await until('an emit is taken', () => emitter.emit())
    seen = await list(host, 'seen', token)
  }
  const { acknowledged, refused, unknown } = emitter
  t.same(
    [...acknowledged].filter((id) => seen.get(id) !== 1),
    [],
    `each of ${acknowledged.size} acknowledged emits counts once`,
  )
  t.same(
    [...refused].filter((id) => seen.has(id)),
    [],
    `none of ${refused.size} refused ones counts`,
  )
  t.same(
    [...unknown].filter((id) => (seen.get(id) ?? 1) !== 1),
    [],
    `each of ${unknown.size} without an answer counts once or not at all`,
  )
  const counts = [...(await list(host, 'counter', token)).values()].map((value) =>
    typeof value === 'object' && value !== null && 'count' in value ? Number(value.count) : 0,
  )
  t.equal(
    counts.reduce((sum, count) => sum + count, 0),
    seen.size,
    'the table and the outputs agree',
  )
}

const rounds = 3

const reopenings = (host: HostProcess): number =>
  host.said.filter((line) => line.includes('the log is open anew')).length

for (const [title, minFreeBytes, diskBytes] of [
  ['with room kept free', 4 * mebibyte, 160 * mebibyte],
  ['without room kept free: LevelDB meets the end of the disk', 0, 96 * mebibyte],
] as const) {
  t.test(`a disk that fills up again and again, ${title}`, { timeout: 240_000 }, async (t) => {
    const root = testFolder(t, {
      functions,
      'host.config.json': JSON.stringify({ log: { minFreeBytes }, flush: { intervalMs: 20 } }),
    })
    const disk = smallDisk(t, diskBytes)
    if (disk === undefined) return
    await using host = await startHostProcess({ root, data: `${disk.path}/data` })
    await host.ready()
    const emitter = new Emitter(host.url)
    for (let round = 1; round <= rounds; round += 1) {
      const before = emitter.acknowledged.size
      await until('emits are taken', () => emitter.acknowledged.size > before + 200)
      const reopened = reopenings(host)
      disk.fill(minFreeBytes / 2)
      const refusedBefore = emitter.refused.size
      await until('emits are refused', () => emitter.refused.size > refusedBefore + 20)
      t.equal((await get(host, '/healthz')).status, 200, 'the process lives')
      const status = await until('the function says what it waits for', async () => {
        const { body } = await get(host, '/functions/counter')
        return body.error?.code === 'DISK_FULL' ? body : undefined
      })
      t.match(status.error?.message, /make room/)
      const ready = await get(host, '/readyz')
      t.equal(ready.status, 503)
      const view = await get(host, '/views/counter/key-1')
      t.ok(view.status === 200 || view.body.error?.code === 'RECOVERING', `${view.status}`)
      disk.free()
      const taken = emitter.acknowledged.size
      await until('it goes on by itself', () => emitter.acknowledged.size > taken + 100)
      await host.ready()
      t.equal((await get(host, '/functions/counter')).body.error, null)
      if (minFreeBytes > 0) t.equal(reopenings(host), reopened, 'LevelDB has not met the end')
      else t.ok(reopenings(host) > reopened, 'LevelDB has met the end of the disk')
      t.comment(`round ${round}: ${emitter.acknowledged.size} acknowledged`)
    }
    await emitter.stop()
    if (minFreeBytes > 0) t.same([...emitter.codes], ['DISK_FULL'])
    await totalsAreExact(t, host, emitter)
  })
}

t.test(
  'a host that is killed on a full disk waits for room, then goes on',
  { timeout: 240_000 },
  async (t) => {
    for (const minFreeBytes of [4 * mebibyte, 0]) {
      const root = testFolder(t, {
        functions,
        'host.config.json': JSON.stringify({ log: { minFreeBytes }, flush: { intervalMs: 20 } }),
      })
      const disk = smallDisk(t, 96 * mebibyte)
      if (disk === undefined) return
      const data = `${disk.path}/data`
      const first = await startHostProcess({ root, data })
      await first.ready()
      const emitter = new Emitter(first.url)
      await until('emits are taken', () => emitter.acknowledged.size > 1_000)
      disk.fill()
      await until('emits are refused', () => emitter.refused.size > 20)
      await first.kill()
      await emitter.stop()
      const starting = startHostProcess({ root, data })
      const early = await Promise.race([starting.then(() => 'started'), pause(3_000, 'waiting')])
      t.comment(`minFreeBytes ${minFreeBytes}: ${early} on the full disk`)
      disk.free()
      await using second = await starting
      await second.ready()
      emitter.url = second.url
      await totalsAreExact(t, second, emitter)
    }
  },
)

t.test(
  'a full disk of the tables alone: emits go on, the table does when there is room',
  { timeout: 240_000 },
  async (t) => {
    const root = testFolder(t, { functions, data: {} })
    const disk = smallDisk(t, 64 * mebibyte)
    if (disk === undefined) return
    symlinkSync(disk.path, `${root}/data/tables`)
    await using host = await startHostProcess({ root, data: `${root}/data` })
    await host.ready()
    const emitter = new Emitter(host.url)
    for (let round = 1; round <= 2; round += 1) {
      disk.fill()
      const status = await until('the function says what is the matter', async () => {
        const { body } = await get(host, '/functions/counter')
        return body.error?.code === 'STORE_FAILED' ? body : undefined
      })
      t.match(status.error?.message, /No space left on device.*free space/)
      const before = emitter.acknowledged.size
      await until('emits are taken meanwhile', () => emitter.acknowledged.size > before + 200)
      disk.free()
      await host.ready()
      t.equal((await get(host, '/functions/counter')).body.error, null)
    }
    await emitter.stop()
    t.same([...emitter.codes], [])
    await totalsAreExact(t, host, emitter)
  },
)
