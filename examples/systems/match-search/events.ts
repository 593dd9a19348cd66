// People who walk, stand, ride and go offline in and around Berlin, and some on both sides of the date line, in Fiji.
import { draw, randomFrom } from '../random.js'
import type { Position } from './geohash.js'
import { genders, type Profile } from './people.js'

export type Event = { readonly user: string; readonly at: number } & (
  | { readonly stream: 'profiles'; readonly value: Profile | null }
  | { readonly stream: 'positions'; readonly value: Position | null }
)

export interface Wanted {
  readonly seed: number
  readonly users: number
  readonly count: number
}

/** Those of the README and of its test. */
export const shown: Wanted = { seed: 1, users: 1_500, count: 20_000 }

export const towns = {
  berlin: { lat: 52.52, lon: 13.405 },
  fiji: { lat: -16.8, lon: 180 },
} as const satisfies Record<string, Position>

const begin = Date.UTC(2025, 0, 1)
const betweenMs = 250
const acts = { stay: 40, walk: 45, ride: 8, leave: 4, change: 2, delete: 1 } as const
const names = Object.keys(acts) as (keyof typeof acts)[]
/** How far, in degrees; about 6 m, 200 m, and some kilometres. */
const steps = { stay: 0.00005, walk: 0.002, ride: 0.05 } as const

export function* movements({ seed, users, count }: Wanted): Generator<Event> {
  const random = randomFrom(seed)
  const around = (middle: number, spread: number) =>
    middle + spread * (random() + random() + random() - 1.5)
  const someProfile = (): Profile => ({
    age: 18 + Math.floor(50 * random() ** 2),
    gender: genders[draw(random, [48, 48, 4])] ?? 'x',
  })
  const places = new Map<string, Position>()
  for (let n = 0; n < count; n += 1) {
    // Everybody comes once with a profile, and then now and then.
    const number = n < users ? n : Math.floor(users * random())
    const act = n < users ? 'change' : (names[draw(random, Object.values(acts))] ?? 'stay')
    const of = { user: `user-${number}`, at: begin + n * betweenMs }
    if (act === 'change') yield { ...of, stream: 'profiles', value: someProfile() }
    else if (act === 'delete') yield { ...of, stream: 'profiles', value: null }
    else if (act === 'leave') yield { ...of, stream: 'positions', value: null }
    else {
      const town = number % 10 === 0 ? towns.fiji : towns.berlin
      const before = places.get(of.user)
      const step = before === undefined ? 0.05 : steps[act]
      const { lat, lon } = before ?? town
      const place = { lat: around(lat, step), lon: wrapped(around(lon, step)) }
      places.set(of.user, place)
      yield { ...of, stream: 'positions', value: place }
    }
  }
}

const wrapped = (lon: number) => (lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon)
