// Opens in this thread the log that another thread of the process shares.
import { attachEmbeddedLog } from './embedded/log.js'
import type { Log, LogDescription } from './log.js'

export async function attachLog(description: LogDescription): Promise<Log> {
  switch (description.kind) {
    case 'embedded':
      return attachEmbeddedLog(description)
  }
}
