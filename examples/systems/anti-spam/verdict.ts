// What follows from what speaks against a user: three offences, and what comes after each. By the time of events, not of the clock.

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** Something that speaks against a user. */
export interface Evidence {
  /** Counts once. */
  id: string
  /** In milliseconds since 1970. */
  at: number
  points: number
}

/** What is older than this, beside the newest, is forgotten. */
export const rememberedMs = 30 * dayMs
/** So many points within a day are an offence, and are used up by it. */
const offencePoints = 12
/** Of the first offence, of the second, of all further ones; it is over after so long. */
const levels = [
  { level: 'warned', lastsMs: rememberedMs },
  { level: 'muted', lastsMs: dayMs },
  { level: 'blocked', lastsMs: rememberedMs },
] as const

export interface Verdict {
  level: (typeof levels)[number]['level']
  offences: number
  /** The time of the last offence. */
  since: number
  until: number
}

/**
 * From all the evidence, in the order of its time, and of its ids: in which order it came makes no difference, and what comes late
 * takes its place. More of it never makes for fewer offences.
 */
export function verdictOf(evidence: readonly Evidence[]): Verdict | undefined {
  let offences = 0
  let since = 0
  let recent: Evidence[] = []
  for (const each of [...evidence].sort((a, b) => byTime(a, b) || (a.id < b.id ? -1 : 1))) {
    recent = [...recent.filter(({ at }) => at > each.at - dayMs), each]
    if (recent.reduce((sum, { points }) => sum + points, 0) < offencePoints) continue
    offences += 1
    since = each.at
    recent = []
  }
  const reached = levels[Math.min(offences, levels.length) - 1]
  if (reached === undefined) return undefined
  return { level: reached.level, offences, since, until: since + reached.lastsMs }
}

/** What is new enough, and the newest of that, oldest first. */
export function remembered<Item extends { readonly at: number }>(
  items: readonly Item[],
  newest: number,
  limit: number,
): Item[] {
  const kept = items.filter(({ at }) => at > newest - rememberedMs)
  return kept.sort(byTime).slice(-limit)
}

const byTime = (one: { readonly at: number }, other: { readonly at: number }): number =>
  one.at - other.at
