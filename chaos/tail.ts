// Follows the last output stream of the chain while it is written, by a way of its own: that is what progress is.
import { setTimeout as pause } from 'node:timers/promises'
import { loadConfig } from '#host/config.js'
import { openKafkaLog } from '#host/log/kafka/log.js'
import { kafkaSettings } from '#host/open-log.js'
import type { Progress } from './progress.js'
import { partitions } from './settings.js'

export interface TailOptions {
  readonly env: Readonly<Record<string, string>>
  readonly topic: string
  readonly progress: Progress
  /** When something is seen, in the time of the run. */
  nowMs(): number
}

export function follow({ env, topic, progress, nowMs }: TailOptions): AsyncDisposable {
  const log = openKafkaLog(kafkaSettings(loadConfig({ root: '.', env })))
  const reader = log.reader()
  reader.assign(
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })),
  )
  let isOver = false
  const reading = (async () => {
    while (!isOver) {
      try {
        for (const { records } of await reader.next()) {
          for (const record of records)
            progress.saw(Number(JSON.parse(record.valueText()).partition), nowMs())
        }
      } catch {
        // The broker is away: its positions are kept.
        await pause(50)
      }
    }
  })()
  return {
    async [Symbol.asyncDispose]() {
      isOver = true
      reader.wake()
      await reading
      await reader[Symbol.asyncDispose]()
      await log[Symbol.asyncDispose]()
    },
  }
}
