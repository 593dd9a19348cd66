// The host's side of the channel to its supervisor.
import type { FromHost } from './messages.js'

export interface SupervisorLink {
  /** Resolves when the supervisor is gone: the host has to end then, for nobody would start it anew. */
  readonly orphaned: Promise<void>
  tell(message: FromHost): void
}

export function linkToSupervisor(): SupervisorLink {
  return {
    orphaned: new Promise((resolve) => {
      process.once('disconnect', resolve)
      // It may have ended before anybody listened.
      if (process.connected !== true) resolve()
    }),
    tell(message) {
      // One that is gone is noticed by `orphaned`.
      if (process.connected) process.send?.(message, undefined, undefined, () => {})
    },
  }
}
