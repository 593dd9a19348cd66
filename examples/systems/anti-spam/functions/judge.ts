// Keeps what speaks against each user, and draws the verdict. Whoever is blocked exposes the rings that the user is in: by the loop it is
// told from member to member.
import { type Context, defineProcessor, json } from 'millrace'
import type { Signal, Whisper } from '../messages.js'
import { type Evidence, remembered, type Verdict, verdictOf } from '../verdict.js'

interface Membership {
  ring: string
  at: number
  isExposed: boolean
  /** Members who tell each other: together these links lead from each member to all others. */
  neighbours: string[]
}

interface Case {
  evidence: Evidence[]
  rings: Membership[]
  verdict?: Verdict
}

/** Of a ring that is exposed, and of any other. */
const [exposedPoints, ringPoints] = [8, 4]
/** The newest ones of a user; more of them tell nothing more. */
const [mostEvidence, mostRings] = [100, 50]

const table = json<Case>()
const outputs = { verdicts: json<Verdict>() }
const loop = json<Whisper>()
type Ctx = Context<typeof table, typeof outputs, typeof loop>

export default defineProcessor({
  inputs: { signals: json<Signal>() },
  table,
  outputs,
  loop,
  on: {
    signals(ctx, signal) {
      const { evidence, rings, ...before } = ctx.get() ?? { evidence: [], rings: [] }
      if ('ring' in signal) {
        const { ring, at, link } = signal
        const own = membership(rings, ring, at)
        if (link !== undefined) {
          addNeighbour(own, link)
          whisper(ctx, own, link)
        }
      } else if (!evidence.some(({ id }) => id === signal.id)) {
        evidence.push(signal)
      }
      judge(ctx, { ...before, evidence, rings }, signal.at)
    },
  },
  // May come before the signal that says that the user is in this ring: that has another way.
  onLoop(ctx, { ring, at, from, isExposed }) {
    const state = ctx.get() ?? { evidence: [], rings: [] }
    const own = membership(state.rings, ring, at)
    addNeighbour(own, from)
    if (isExposed) expose(ctx, own, from)
    else if (own.isExposed) whisper(ctx, own, from)
    judge(ctx, state, at)
  },
  visitors: {
    /** What is long ago is forgotten when something new comes; of those of whom nothing comes, by this. */
    forget(ctx, { now }: { now: number }) {
      judge(ctx, ctx.get() ?? { evidence: [], rings: [] }, now)
    },
  },
})

function membership(rings: Membership[], ring: string, at: number): Membership {
  const known = rings.find((each) => each.ring === ring)
  if (known !== undefined) return known
  const begun = { ring, at, isExposed: false, neighbours: [] }
  rings.push(begun)
  return begun
}

function addNeighbour({ neighbours }: Membership, member: string): void {
  if (!neighbours.includes(member)) neighbours.push(member)
}

function whisper(ctx: Ctx, { ring, at, isExposed }: Membership, to: string): void {
  ctx.loopback(to, { ring, at, from: ctx.key, isExposed })
}

/** Each member passes it on once, to all but the one it has it from. */
function expose(ctx: Ctx, own: Membership, from?: string): void {
  if (own.isExposed) return
  own.isExposed = true
  for (const each of own.neighbours) if (each !== from) whisper(ctx, own, each)
}

function judge(ctx: Ctx, before: Case, newest: number): void {
  const times = [...before.evidence, ...before.rings].map(({ at }) => at)
  const now = Math.max(newest, ...times)
  const evidence = remembered(before.evidence, now, mostEvidence)
  const rings = remembered(before.rings, now, mostRings)
  let verdict = verdictOf([...evidence, ...rings.map(asEvidence)])
  if (verdict?.level === 'blocked') {
    for (const each of rings) expose(ctx, each)
    verdict = verdictOf([...evidence, ...rings.map(asEvidence)])
  }
  if (evidence.length + rings.length === 0) ctx.delete()
  else ctx.set({ evidence, rings, ...(verdict && { verdict }) })
  const hasChanged = JSON.stringify(verdict) !== JSON.stringify(before.verdict)
  if (hasChanged) ctx.emit('verdicts', ctx.key, verdict ?? null)
}

function asEvidence({ ring, at, isExposed }: Membership): Evidence {
  return { id: `ring/${ring}`, at, points: isExposed ? exposedPoints : ringPoints }
}
