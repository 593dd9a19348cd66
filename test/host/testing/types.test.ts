// The types of the test kit: what compiles, and what must not; `tsc` is the test, and the test makes sure that it is asked.

import { bytes, defineProcessor, int64, json, type ProcessorDefinition, string } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import { z } from 'zod'
import { isTypeChecked } from '../../support/type-checked.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T | undefined => undefined

const parsed = z.object({ at: z.string().transform((text) => new Date(text)) })

const clickCount = defineProcessor({
  inputs: { clicks: json<{ page: string }>(), dates: json(parsed) },
  table: json<{ count: number }>(),
  outputs: { pages: string, sums: int64 },
  on: { clicks() {}, dates() {} },
})
const alerts = defineProcessor({
  inputs: { pages: bytes, clicks: json<{ user: string }>() },
  outputs: { alerts: string },
  on: { pages() {}, clicks() {} },
})

/** Never called: that it compiles is the point. */
export async function rightUses(): Promise<void> {
  await using host = await testHost({ clickCount, 'my-alerts': alerts }, { seed: 1, faults: true })
  await host.emit('clicks', 'k', { page: '/' }, { headers: { a: 'b' }, timestamp: 1, partition: 0 })
  await host.emit('clicks', 'k', { user: 'of the other reader' })
  await host.emit('clicks', 'k', null)
  await host.emit('dates', 'k', { at: '2025-01-01' })
  await host.emit('pages', 'k', new Uint8Array())
  await host.emit('sums', 'k', 7)
  await host.emit('sums', 'k', 7n)

  const count = host.table('clickCount').get('k')
  holds<Same<typeof count, { count: number } | undefined>>()
  for (const [key, value] of await host.table('click-count').entries({ prefix: 'k' })) {
    holds<Same<typeof key, string>>()
    holds<Same<typeof value, { count: number }>>()
  }
  const date = await host.stream('dates').next()
  holds<Same<NonNullable<typeof date>['value'], { at: Date } | null>>()
  for await (const { value } of host.stream('sums')) holds<Same<typeof value, bigint | null>>()
  const [page] = host.stream('pages').records()
  holds<Same<NonNullable<typeof page>['value'], string | Uint8Array | null>>()

  host.function('clickCount')
  host.function('my-alerts')
  await host.swap({ clickCount: alerts })
  const named: Record<string, ProcessorDefinition> = { clickCount }
  await using loose = await testHost(named)
  await loose.emit('anything', 'k', { any: 'value' })
  const unknown = loose.table('anything').get('k')
  holds<Same<typeof unknown, unknown>>()
}

/** Never called: each line has to be an error. */
export async function wrongUses(): Promise<void> {
  // @ts-expect-error a function that is no definition
  await testHost({ clickCount: () => {} })
  // @ts-expect-error no such option
  await testHost({ clickCount }, { fault: true })
  const host = await testHost({ clickCount, alerts })
  // @ts-expect-error no such stream
  await host.emit('click', 'k', { page: '/' })
  // @ts-expect-error a value that no reader takes
  await host.emit('clicks', 'k', { page: 7 })
  // @ts-expect-error what is read, not what is written
  await host.emit('dates', 'k', { at: new Date() })
  // @ts-expect-error undefined is no tombstone
  await host.emit('clicks', 'k', undefined)
  // @ts-expect-error headers are text
  await host.emit('clicks', 'k', { page: '/' }, { headers: { n: 1 } })
  // @ts-expect-error no such table
  host.table('click-counts')
  // @ts-expect-error a function without a table
  host.table('alerts')
  // @ts-expect-error no such stream
  host.stream('click-count')
  // @ts-expect-error no such function
  host.function('click_count')
  // @ts-expect-error no such function
  await host.pause('clickCounts')
  // @ts-expect-error no such function
  await host.swap({ clicks: clickCount })
  // @ts-expect-error no such fate
  await host.crash({ store: 'gone' })
}

void t.test('the compiler is asked about this file, strictly', async (t) => {
  isTypeChecked(t, 'test/host/testing/types.test.ts')
  t.type(rightUses, 'function')
  t.type(wrongUses, 'function')
})
