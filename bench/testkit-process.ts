// Run as a child: how long the test kit takes to boot in a fresh process, import included, and once more.
import { defineProcessor, json } from '../sdk/index.js'

const clickCount = defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),
  on: { clicks: (ctx) => ctx.set({ count: (ctx.get()?.count ?? 0) + 1 }) },
})

const startedAt = performance.now()
const { testHost } = await import('../host/testing/index.js')
const imported = performance.now() - startedAt

async function boot(): Promise<{ booted: number; settled: number }> {
  const at = performance.now()
  await using host = await testHost({ clickCount })
  const booted = performance.now() - at
  await host.emit('clicks', 'alice', { page: '/' })
  await host.settled()
  if (host.table('clickCount').get('alice')?.count !== 1) throw new Error('a click was not counted')
  return { booted, settled: performance.now() - at }
}

const first = await boot()
const again = await boot()
console.log(JSON.stringify({ imported, booted: first.booted, again: again.settled }))
