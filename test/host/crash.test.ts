// kill -9 at random instants under load: what was acknowledged counts once, what was not counts wholly or not at all.
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startHostProcess } from '#bench/host-process.js'
import { Random } from '#host/log/memory/random.js'

const functions = {
  // Each batch is spread over all partitions by `n`; the key of the output gathers it again.
  'first.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { events: json<{ batch: string }>() },
  table: json<number>(),
  outputs: { batches: json<number>() },
  on: {
    events(ctx, { batch }) {
      ctx.set((ctx.get() ?? 0) + 1)
      ctx.emit('batches', batch, 1)
    },
  },
})`,
  'second.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { batches: json<number>() },
  table: json<number>(),
  on: {
    async batches(ctx, one) {
      if (ctx.offset % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
      ctx.set((ctx.get() ?? 0) + one)
    },
  },
})`,
}

const size = 40
const kills = 10

t.test('a host that is killed again and again', { timeout: 240_000 }, async (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
  t.comment(`MILLRACE_TEST_SEED=${seed}`)
  const random = new Random(seed)
  const root = t.testdir({ functions })
  const start = () => startHostProcess({ root, data: `${root}/data` })
  const answered: string[] = []
  const unanswered: string[] = []
  let batches = 0

  const post = async (url: string): Promise<string> => {
    const batch = `b${batches}`
    batches += 1
    const body = Array.from(
      { length: size },
      (_, n) => `{"key":"n${n}","value":{"batch":"${batch}"}}`,
    ).join('\n')
    unanswered.push(batch)
    // A fetch whose socket dies at the wrong moment may never settle: that is an unanswered one.
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), 10_000)
    const { token } = await fetch(`${url}/emitters/events`, {
      method: 'POST',
      body,
      signal: late.signal,
    })
      .then(async (response) => {
        if (response.status !== 201) throw new Error(`status ${response.status}`)
        return (await response.json()) as { token: string }
      })
      .finally(() => clearTimeout(timer))
    answered.push(batch)
    unanswered.splice(unanswered.indexOf(batch), 1)
    return token
  }

  for (let kill = 0; kill < kills; kill += 1) {
    const host = await start()
    let isDead = false
    const load = async () => {
      while (!isDead) await post(host.url).catch(() => {})
    }
    const loads = [load(), load(), load()]
    await pause(random.upTo(400))
    await host.kill()
    isDead = true
    await Promise.all(loads)
  }

  await using host = await start()
  await host.ready()
  const token = await post(host.url)
  const list = async (table: string) => {
    const response = await fetch(`${host.url}/views/${table}?after=${token}&timeoutMs=60000`, {
      headers: { accept: 'application/x-ndjson' },
    })
    const lines = (await response.text()).trim().split('\n')
    if (response.status !== 200) throw new Error(lines.join('\n'))
    return new Map(lines.map((line) => JSON.parse(line)).map(({ key, value }) => [key, value]))
  }
  const second = await list('second')
  const wrong = answered.filter((batch) => second.get(batch) !== size)
  t.same(wrong, [], `each of ${answered.length} acknowledged batches counts ${size}`)
  const torn = unanswered.filter((batch) => (second.get(batch) ?? size) !== size)
  t.same(torn, [], `each of ${unanswered.length} unanswered batches counts wholly or not at all`)
  const whole = [...second.values()].filter((count) => count === size).length
  t.equal(whole, second.size)
  const first = await list('first')
  t.same(
    [...first.values()],
    Array.from({ length: size }, () => whole),
    'both tables agree',
  )
  t.ok(answered.length > kills, 'there was load')
})
