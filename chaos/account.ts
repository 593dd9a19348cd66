// What was emitted, and what became of it as far as an answer told.
import type { Setting } from './functions.js'

export type Outcome = 'acknowledged' | 'refused' | 'unknown'

export interface Emitted {
  readonly id: string
  readonly key: string
  /** Who emits them one after the other. */
  readonly lane: string
  /** All or none of those of one batch are there. */
  readonly batch?: string
  /** `refused`: for good, after the last attempt; nothing of it is there. */
  outcome: Outcome
  token?: string
  /** Where it was said to be: not of batches. */
  place?: { readonly partition: number; readonly offset: number }
}

const recentEvents = 300

export class Account {
  /** In the order in which they were emitted, of each lane. */
  readonly events = new Map<string, Emitted>()
  /** Acknowledged, the newest last; only so many are kept. */
  readonly recent: Emitted[] = []
  /** By key the versions that were set, whether or not it is known that they are there. */
  readonly settings = new Map<string, Setting['version'][]>()
  /** Of settings, the highest that is there for sure. */
  readonly acknowledgedSettings = new Map<string, number>()
  /** Attempts that were refused, most of which were made again elsewhere. */
  readonly refusals = new Map<string, number>()

  emitting(event: Pick<Emitted, 'id' | 'key' | 'lane' | 'batch'>): Emitted {
    const emitted: Emitted = { ...event, outcome: 'unknown' }
    this.events.set(event.id, emitted)
    return emitted
  }

  acknowledged(event: Emitted): void {
    this.recent.push(event)
    if (this.recent.length > 2 * recentEvents) this.recent.splice(0, recentEvents)
  }

  setting(key: string, version: number): void {
    const versions = this.settings.get(key)
    if (versions === undefined) this.settings.set(key, [version])
    else versions.push(version)
  }

  settingAcknowledged(key: string, version: number): void {
    const known = this.acknowledgedSettings.get(key) ?? 0
    this.acknowledgedSettings.set(key, Math.max(known, version))
  }

  refused(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }

  count(outcome: Outcome): number {
    let count = 0
    for (const event of this.events.values()) if (event.outcome === outcome) count += 1
    return count
  }
}
