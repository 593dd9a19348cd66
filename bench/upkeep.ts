// Ten million updates of 1,000 keys of a table, with and without compaction: what is appended, and what lies on the disk.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import { defaultMaintenance } from '#host/log/embedded/maintenance-settings.js'
import type { Log, RecordToAppend } from '#host/log/log.js'
import type { Figure } from './figure.js'

const [updates, keys, partitions, batch, inFlight] = [10_000_000, 1000, 4, 1000, 8]

export const upkeep: Figure = {
  name: 'upkeep',
  isEmbedded: true,
  async measure({ runs, folder, say }) {
    const own: Run[] = []
    const peer: Run[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`upkeep: run ${run + 1} of ${runs}`)
      own.push(await write(join(folder, `compacted-${run}`), defaultMaintenance.compaction))
      // Far more than is written: never.
      const compaction = { ...defaultMaintenance.compaction, minBytes: Number.MAX_SAFE_INTEGER }
      peer.push(await write(join(folder, `kept-${run}`), compaction))
    }
    const of = (name: keyof Run, list: readonly Run[]) => list.map((run) => run[name])
    const without = (name: keyof Run) => ({ name: 'without compaction', samples: of(name, peer) })
    return [
      {
        name: `${updates} updates of ${keys} keys appended`,
        unit: 'records/s',
        samples: of('rate', own),
        peer: without('rate'),
      },
      {
        name: 'the most that they take on the disk',
        unit: 'MB',
        samples: of('mostMb', own),
        peer: without('mostMb'),
      },
      {
        name: 'what is left of them',
        unit: 'MB',
        samples: of('leftMb', own),
        peer: without('leftMb'),
      },
    ]
  },
}

interface Run {
  readonly rate: number
  readonly mostMb: number
  readonly leftMb: number
}

type Compaction = typeof defaultMaintenance.compaction

async function write(path: string, compaction: Compaction): Promise<Run> {
  const log = await openEmbeddedLog({
    path,
    maintenance: { compaction },
    onFailure: (error) => {
      throw error
    },
  })
  let mostMb = 0
  const look = async (): Promise<void> => {
    mostMb = Math.max(mostMb, await sizeMb(path))
  }
  const looking = setInterval(() => void look(), 50)
  await log.ensure([{ name: 'counts', kind: 'table', partitions }])
  const start = performance.now()
  await append(log)
  const rate = (updates / (performance.now() - start)) * 1000
  clearInterval(looking)
  await look()
  // Closing waits for the pass that is under way; the next open writes LevelDB's journal to its files.
  await log[Symbol.asyncDispose]()
  return { rate, mostMb, leftMb: await sizeMb(path) }
}

async function append(log: Log): Promise<void> {
  const names = Array.from({ length: keys }, (_, key) => Buffer.from(`user-${key}`))
  const pad = '.'.repeat(60)
  const open = new Set<Promise<unknown>>()
  for (let sent = 0; sent < updates; ) {
    const records: RecordToAppend[] = []
    for (; records.length < batch; sent += 1) {
      const key = sent % keys
      records.push({
        topic: 'counts',
        partition: key % partitions,
        key: names[key] ?? null,
        value: Buffer.from(`{"count":${sent},"pad":"${pad}"}`),
        timestamp: sent,
      })
    }
    const appending: Promise<unknown> = log.append(records).finally(() => open.delete(appending))
    open.add(appending)
    if (open.size >= inFlight) await Promise.race(open)
  }
  await Promise.all(open)
}

async function sizeMb(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder)) {
    // LevelDB deletes files meanwhile.
    bytes += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size
  }
  return bytes / 1_000_000
}
