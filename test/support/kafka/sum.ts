// A function that adds up what is emitted for each key, on hosts of a test's own, and what the tests of data that is lost do with it.
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cutManifest } from '../damage.js'
import { testFolder } from '../folder.js'
import { HostUnderTest } from '../host.js'
import { quietKafka } from './client.js'
import { ownName } from './shared.js'

/** `options`: further ones of its definition. A click of 0 deletes. */
export const sumSource = (options = ''): string => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  ${options}
  on: {
    clicks(ctx, by) {
      if (by === 0) ctx.delete()
      else ctx.set((ctx.get() ?? 0) + by)
    },
  },
})`

export interface SumCase {
  readonly clicks: string
  readonly table: string
  readonly group: string
  /** Each name is one on a data folder of its own. */
  host(name: string): HostUnderTest
}

/** Names of a test's own, and hosts that have only these in common. */
export function sumCase(
  t: Test,
  name: string,
  env: Readonly<Record<string, string>> & { readonly MILLRACE_LOG_BROKERS: string },
): SumCase {
  const namespace = `${ownName(name)}-`
  const root = join(testFolder(t), name)
  return {
    clicks: `${namespace}clicks`,
    table: `${namespace}click-count-table`,
    group: `${namespace}click-count`,
    host(name) {
      const host = new HostUnderTest(join(root, name), {
        functions: { 'click-count.ts': sumSource() },
        env: { MILLRACE_NAMESPACE: namespace, MILLRACE_LOG_PARTITIONS: '1', ...env },
      })
      t.teardown(() => host.stop())
      return host
    },
  }
}

export const running = async (host: HostUnderTest): Promise<void> => {
  await host.start()
  await host.untilStatus('click-count', 'running')
}

/** Emits what is given, and waits until it counts. */
export async function click(
  host: HostUnderTest,
  clicks: Readonly<Record<string, number>>,
): Promise<void> {
  const lines = Object.entries(clicks).map(([key, value]) => ({ key, value }))
  const token = await host.emitAll('clicks', lines)
  for (const { key } of lines) await host.view('click-count', key, token)
}

/** Starts it, clicks, and stops it. */
export async function count(
  host: HostUnderTest,
  clicks: Readonly<Record<string, number>>,
): Promise<void> {
  await running(host)
  await click(host, clicks)
  await host.stop()
}

/** Why it was, the last time. */
export const wiped = (host: HostUnderTest): string | undefined => {
  const line = host.lines.findLast((line) => line.includes('the local table is rebuilt'))
  return line === undefined ? undefined : JSON.parse(line).msg
}

/** The error with which the function has halted. */
export const halted = async (host: HostUnderTest) => {
  const { error } = await host.untilStatus('click-count', 'halted')
  return error
}

export const forgetTable = (host: HostUnderTest): void =>
  rmSync(join(host.root, '.millrace'), { recursive: true })

/** Of a host that is stopped. */
export function damageTable(host: HostUnderTest): void {
  const tables = join(host.root, '.millrace', 'tables')
  const [table = ''] = readdirSync(tables)
  cutManifest(join(tables, table))
}

/** As another client would, to partition 0. */
export async function produceClicks(
  t: Test,
  address: string,
  topic: string,
  key: string,
  values: readonly number[],
): Promise<void> {
  const producer = quietKafka(address).producer()
  t.teardown(() => producer.disconnect())
  await producer.connect()
  await producer.send({
    topic,
    messages: values.map((value) => ({ key, value: JSON.stringify(value), partition: 0 })),
  })
}
