// Opens in this thread the log that another thread of the process shares.
import { attachEmbeddedLog } from './embedded/log.js'
import type { Log, LogDescription } from './log.js'

export async function attachLog(description: LogDescription): Promise<Log> {
  switch (description.kind) {
    case 'embedded':
      return attachEmbeddedLog(description)
    case 'kafka': {
      // Loaded by those who use it: kafkajs takes its time.
      const { attachKafkaLog } = await import('./kafka/log.js')
      return attachKafkaLog(description)
    }
  }
}
