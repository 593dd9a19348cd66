// The function under test of the swap tests: counts clicks by key, and says which thread has handled the last one.
import type { HostUnderTest } from './host.js'

const setStep = (step: number) =>
  `ctx.set({ count: (ctx.get()?.count ?? 0) + ${step}, thread: threadId })`

/** Counts by key; the value says which thread has handled the record, and by what code. */
export const count = ({
  step = 1,
  table = 'json<{ count: number; thread: number }>()',
  inputs = 'clicks: json<string>(),',
  on = '',
  set = setStep(step),
  extra = '',
} = {}) => `
import { threadId } from 'node:worker_threads'
import { defineProcessor, int64, json, string } from 'millrace'
import { z } from 'zod'
void [int64, json, string, threadId, z]
export default defineProcessor({
  inputs: { ${inputs} },
  table: ${table},
  on: {
    clicks(ctx, click) { ${set} },
    ${on}
  },
  ${extra}
})`

export const click = async (host: HostUnderTest, key = 'ada') =>
  Object(await host.view('counter', key, await host.emit('clicks', key, 'x')))
