// A counting function whose code tells which version of it has counted last, and what clicks on it show.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { HostUnderTest } from './host.js'
import { until } from './until.js'

/** Counts by key in steps; the last step is in the value. */
export const count = (step: number | string = 1, head = '') => `
import { defineProcessor, json } from 'millrace'
${head}
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<{ count: number; step: number }>(),
  on: {
    clicks(ctx) {
      ctx.set({ count: (ctx.get()?.count ?? 0) + ${step}, step: ${step} })
    },
  },
})`

export const click = async (host: HostUnderTest, table = 'counter') =>
  Object(await host.view(table, 'ada', await host.emit('clicks', 'ada', 'x')))

/** Clicks until the step that counts is the one. */
export const untilStep = (host: HostUnderTest, step: number, table = 'counter') =>
  until(`${table} counts in steps of ${step}`, async () => (await click(host, table)).step === step)

export const write = (host: HostUnderTest, name: string, text: string) => {
  mkdirSync(dirname(join(host.root, name)), { recursive: true })
  writeFileSync(join(host.root, name), text)
}
