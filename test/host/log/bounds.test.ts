// What the log takes on the disk while much is written to little, with its real thread.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type EmbeddedLogOptions, openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { from, record, take } from './conformance.js'

async function open(
  t: Test,
  path: string,
  maintenance: EmbeddedLogOptions['maintenance'] = {},
): Promise<Log> {
  const log = await openEmbeddedLog({
    path,
    maintenance,
    onWarning: (problem) => t.fail('a warning', { problem: problem.message }),
    onFailure: (error) => t.fail('the log has failed', { error: error.message }),
  })
  t.teardown(async () => log[Symbol.asyncDispose]())
  return log
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder)) {
    // LevelDB deletes files meanwhile.
    bytes += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size
  }
  return bytes
}

// So that LevelDB cannot make it small.
function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let state = seed * 2654435761
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state ^ (state >>> 13), 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const mebibyte = 1024 * 1024

void t.test('300,000 updates of 1,000 keys take no more room than some of them', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path, {
    compaction: { minBytes: mebibyte, dirtyRatio: 0.5, keyBytes: 16 * mebibyte },
  })
  await log.ensure([{ name: 'counts', kind: 'table', partitions: 4 }])
  const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`user-${i}`))
  let written = 0
  for (let round = 0; round < 300; round++) {
    const records = keys.map((key, i) => {
      const value = noise(round * 1000 + i, 200)
      written += value.length
      return { topic: 'counts', partition: i % 4, key, value, timestamp: round }
    })
    await log.append(records)
  }
  t.equal(written, 60_000_000)
  // LevelDB's journals of 16 MB, and what has gathered since the last passes.
  const bound = 40_000_000
  const bytes = await until('the last pass is over', async () => {
    const found = await bytesIn(path)
    return found < bound && found
  })
  t.ok(bytes < bound, `${bytes}`)
  const infos = (await log.describe(['counts'])).get('counts')?.partitions ?? []
  t.same(
    infos.map(({ oldest, stableEnd }) => [oldest, stableEnd]),
    [0, 1, 2, 3].map(() => [0, 75_000]),
    'offsets count what was written',
  )
  await log[Symbol.asyncDispose]()
  const again = await open(t, path)
  for (const partition of [0, 1, 2, 3]) {
    // The newest of each key are the last ones written.
    const found = await take(again, from('counts', partition, 75_000 - 250), 250)
    t.equal(found.length, 250)
    for (const { key, value } of found) {
      const i = Number(`${key}`.slice('user-'.length))
      if (!value?.equals(noise(299_000 + i, 200))) t.fail(`${key} has another value`)
    }
  }
})

void t.test('a stream of bounded size takes bounded room, and loses only its oldest', async (t) => {
  const path = testFolder(t)
  const log = await open(t, path, { intervalMs: 20, retentionBytes: 2 * mebibyte })
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 2 }])
  const records = 60_000
  for (let at = 0; at < records; at += 500) {
    await log.append(
      Array.from({ length: 500 }, (_, i) => ({
        ...record('clicks', (at + i) % 2, null),
        value: noise(at + i, 1000),
      })),
    )
  }
  const ends = async () => (await log.describe(['clicks'])).get('clicks')?.partitions ?? []
  const kept = await until('the oldest records have gone', async () => {
    const infos = await ends()
    const left = infos.map(({ oldest, stableEnd }) => stableEnd - oldest)
    return left.every((count) => count < 3000) && infos
  })
  for (const { partition, stableEnd } of kept) {
    t.equal(stableEnd, records / 2)
    // An entry more may go while they are read.
    const found = await until('the rest is read', async () => {
      const oldest = (await ends())[partition]?.oldest ?? 0
      return take(log, from('clicks', partition, oldest), stableEnd - oldest).catch((error) => {
        if (error.code === 'OFFSET_OUT_OF_RANGE') return undefined
        throw error
      })
    })
    t.ok(found.length * 1000 > 1.9 * mebibyte, `${found.length} records are kept`)
    for (const { offset, value } of found) {
      if (!value?.equals(noise(offset * 2 + partition, 1000))) t.fail(`${offset} has another value`)
    }
  }
  // 60 MB were written.
  await until('LevelDB has given the room back', async () => (await bytesIn(path)) < 40_000_000)
})
