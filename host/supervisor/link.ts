// The host's side of the channel to its supervisor.
import type { FromHost } from './messages.js'

export interface SupervisorLink {
  /** Resolves when the supervisor is gone: the host has to end then, for nobody would start it anew. */
  readonly orphaned: Promise<void>
  /** The same vitals as before are not sent again. */
  tell(message: FromHost): void
}

export function linkToSupervisor(): SupervisorLink {
  let vitals = ''
  return {
    orphaned: new Promise((resolve) => {
      process.once('disconnect', resolve)
      // It may have ended before anybody listened.
      if (process.connected !== true) resolve()
    }),
    tell(message) {
      if (message.kind === 'vitals') {
        const text = JSON.stringify(message)
        if (text === vitals) return
        vitals = text
      }
      // One that is gone is noticed by `orphaned`.
      if (process.connected) process.send?.(message, undefined, undefined, () => {})
    },
  }
}
