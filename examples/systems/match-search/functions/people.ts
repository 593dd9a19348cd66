// Where everybody is: tells a cell who comes into it, who has changed, and who goes away.
import { type Context, defineProcessor, json } from 'millrace'
import { z } from 'zod'
import { geohash, maxLatitude } from '../geohash.js'
import { cellOf, genders, type Move, type Profile, placeLength, refreshMs } from '../people.js'

interface Person {
  /** Kept also of who is gone: what is still on its way to a cell is told apart by it. */
  readonly seq: number
  readonly profile?: Profile
  readonly place?: string
  readonly seenAt?: number
}

const profile = z.object({ age: z.int().min(18).max(120), gender: z.enum(genders) })
const position = z.object({
  lat: z.number().min(-maxLatitude).max(maxLatitude),
  lon: z.number().min(-180).max(180),
})
const table = json<Person>()
const outputs = { moves: json<Move>() }

const nobody: Person = { seq: 0 }

export default defineProcessor({
  inputs: { profiles: json(profile), positions: json(position) },
  table,
  outputs,
  // No profile any more: the account is deleted. No position any more: the user goes away.
  tombstones: 'process',
  on: {
    profiles(ctx, profile) {
      const before = ctx.get() ?? nobody
      const { profile: known, ...rest } = before
      if (profile !== null) change(ctx, before, { ...rest, profile })
      else if (known !== undefined) change(ctx, before, rest)
    },
    positions(ctx, position) {
      const before = ctx.get() ?? nobody
      const { place: known, seenAt = 0, ...rest } = before
      if (position === null) {
        if (known !== undefined) change(ctx, before, rest)
        return
      }
      const place = geohash(position, placeLength)
      const isNews = place !== known || ctx.timestamp >= seenAt + refreshMs
      if (isNews) change(ctx, before, { ...rest, place, seenAt: ctx.timestamp })
    },
  },
})

/** The cell where the user is now is told, and tells the former one when it has the user. */
function change(ctx: Context<typeof table, typeof outputs>, before: Person, after: Person): void {
  const seq = before.seq + 1
  ctx.set({ ...after, seq })
  const [from, to] = [shown(before), shown(after)]
  const former = from && cellOf(from.place)
  if (to !== undefined) {
    const cell = cellOf(to.place)
    const enter = { user: ctx.key, seq, ...to }
    ctx.emit('moves', cell, former && former !== cell ? { enter, from: former } : { enter })
  } else if (former !== undefined) {
    ctx.emit('moves', former, { leave: ctx.key, seq })
  }
}

/** Who has both a profile and a place. */
function shown({ profile, place, seenAt }: Person) {
  if (profile === undefined || place === undefined || seenAt === undefined) return undefined
  return { ...profile, place, seenAt }
}
