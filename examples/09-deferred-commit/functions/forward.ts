// Sends what comes on to another host, many records at once, and each counts when the other host has it.
import { defineProcessor, string } from 'millrace'

interface Waiting {
  record: { key: string; value: { text: string; offset: number } }
  done: (error?: unknown) => void
}

const waiting: Waiting[] = []
let isSending = false

export default defineProcessor({
  inputs: { notes: string },
  retry: { attempts: 12, backoffMs: 100 },
  on: {
    notes(ctx, text) {
      const record = { key: ctx.key, value: { text, offset: ctx.offset } }
      waiting.push({ record, done: ctx.defer() })
      if (!isSending) void sendAll()
    },
  },
})

async function sendAll() {
  isSending = true
  while (waiting.length > 0) {
    const batch = waiting.splice(0, 1000)
    try {
      await send(batch.map(({ record }) => JSON.stringify(record)).join('\n'))
      for (const { done } of batch) done()
    } catch (error) {
      // With what came after it: all of it is handled again, in order.
      for (const { done } of [...batch, ...waiting.splice(0)]) done(error)
    }
  }
  isSending = false
}

/** All lines or none. Here the other host is this one, unless it is told of another. */
async function send(body: string) {
  const host = process.env.OTHER_HOST ?? 'http://127.0.0.1:7420'
  const signal = AbortSignal.timeout(10_000)
  const response = await fetch(`${host}/emitters/forwarded`, { method: 'POST', body, signal })
  if (!response.ok) throw new Error(`${host}: ${response.status} ${await response.text()}`)
}
