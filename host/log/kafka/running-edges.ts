// By which edges a group runs whose members have different ones, as while another version is rolled out.
import { edgesText, haveSame } from '../group-edges.js'
import type { GroupEdges } from '../log.js'
import type { Claim } from './claim.js'

export interface RunningEdges {
  /** Absent: those who run it do not tell. */
  readonly edges?: GroupEdges
  readonly topics: readonly string[]
  /** Of those who run it: all others get nothing. */
  readonly claims: readonly Claim[]
}

/**
 * Those that somebody has partitions for: what is in its table was made by them. Else, or should several, those that a member has had for
 * the longest. The same claims give the same, whatever their order. There is a claim at least.
 */
export function runningEdges(claims: readonly Claim[]): RunningEdges {
  const [first = { topics: [], claims, text: '' }, ...others] = candidatesOf(claims)
  return others.reduce((best, one) => (isBefore(rankOf(one), rankOf(best)) ? one : best), first)
}

interface Candidate extends RunningEdges {
  readonly text: string
}

/** A member of a version that does not tell its edges is taken for one of those that read the same topics. */
function candidatesOf(claims: readonly Claim[]): Candidate[] {
  const untold = claims.filter(({ edges }) => edges === undefined)
  const found = new Map<string, Candidate>()
  for (const { edges, topics } of claims) {
    if (edges === undefined) continue
    const text = edgesText(edges)
    const isSame = (other: Claim) =>
      other.edges === undefined ? haveSame(other.topics, topics) : edgesText(other.edges) === text
    if (!found.has(text)) found.set(text, { edges, topics, text, claims: claims.filter(isSame) })
  }
  const taken = new Set([...found.values()].flatMap((candidate) => candidate.claims))
  for (const claim of untold) {
    if (taken.has(claim)) continue
    const { topics } = claim
    const text = [...topics].sort().join(' ')
    const alike = untold.filter((other) => haveSame(other.topics, topics))
    if (!found.has(text)) found.set(text, { topics, text, claims: alike })
  }
  return [...found.values()]
}

type Rank = readonly [doubt: number, since: number, text: string]

function rankOf({ edges, claims, text }: Candidate): Rank {
  const owners = claims.filter(({ owned }) => owned.length > 0)
  // Whom an owner that does not tell its edges goes with is not known for sure.
  const isToldBy = (claim: Claim) => edges === undefined || claim.edges !== undefined
  const doubt = owners.some(isToldBy) ? 0 : owners.length > 0 ? 1 : 2
  const since = claims.filter(isToldBy).map(({ since = 0 }) => since)
  return [doubt, Math.min(...since), text]
}

const isBefore = ([doubt, since, text]: Rank, [itsDoubt, itsSince, its]: Rank): boolean =>
  doubt !== itsDoubt ? doubt < itsDoubt : since !== itsSince ? since < itsSince : text < its
