// Fifty functions in one host: all of them run, each counts exactly, and what the host takes for them.
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { startHostProcess } from '#bench/host-process.js'
import { makeProject } from '#bench/project.js'
import { testFolder } from '../support/folder.js'
import { until } from '../support/until.js'

const keys = 20
const names = Array.from({ length: 50 }, (_, n) => `counter-${n}`)

/** Each reads what all read, and a stream of its own that the one before writes. */
const counter = (n: number) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>(), 'passed-${n}': json<number>() },
  outputs: { 'passed-${n + 1}': json<number>() },
  table: json<{ clicks: number; passed: number }>(),
  on: {
    clicks(ctx, by) {
      const { clicks, passed } = ctx.get() ?? { clicks: 0, passed: 0 }
      ctx.set({ clicks: clicks + by, passed })
      ${n === 0 ? "ctx.emit('passed-1', ctx.key, by)" : ''}
    },
    'passed-${n}'(ctx, by) {
      const { clicks, passed } = ctx.get() ?? { clicks: 0, passed: 0 }
      ctx.set({ clicks, passed: passed + by })
      ctx.emit('passed-${n + 1}', ctx.key, by)
    },
  },
})`

async function ask(url: string, path: string, body?: string): Promise<string> {
  const response = await fetch(url + path, body === undefined ? {} : { method: 'POST', body })
  return await response.text()
}

const memoryOf = (pid: number): string => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
  return `${Math.round(kB / 1_000)} MB`
}

t.test('50 functions in one host count exactly, over a chain of all of them', async (t) => {
  const folder = testFolder(t)
  const sources = names.map((name, n): [string, string] => [name, counter(n)])
  const root = await makeProject(`${folder}/project`, Object.fromEntries(sources))
  await using host = await startHostProcess({ root, data: `${folder}/data` })
  await host.ready()
  const readyMs = Math.round(performance.now() - host.spawnedAt)
  t.comment(`${names.length} functions: ready after ${readyMs} ms, ${memoryOf(host.pid)}`)
  const { functions } = JSON.parse(await ask(host.url, '/functions'))
  t.same(
    functions.map(({ state }: { state: string }) => state),
    names.map(() => 'running'),
  )

  const lines = Array.from({ length: 1_000 }, (_, n) => `{"key":"k${n % keys}","value":1}`)
  await ask(host.url, '/emitters/clicks', lines.join('\n'))
  const clicks = lines.length / keys
  for (const [n, name] of names.entries()) {
    const expected = { clicks, passed: n === 0 ? 0 : clicks }
    let found = ''
    await until(
      `${name} has counted ${clicks} each`,
      async () => {
        found = await ask(host.url, `/views/${name}`)
        const { entries = [] }: { entries?: readonly { value: unknown }[] } = JSON.parse(found)
        return (
          entries.length === keys &&
          entries.every(({ value }) => isDeepStrictEqual(value, expected))
        )
      },
      () => found,
    )
  }
  t.comment(`after ${lines.length} records for each: ${memoryOf(host.pid)}`)
  t.notMatch(host.said.join('\n'), /Warning|"level":(50|60)/, 'nothing is warned of')
})
