// Interactions as an app would send them: some users are far busier than others, many answer, and some records are sent twice.
import { draw, randomFrom } from '../random.js'
import { type Kind, kinds } from './edge.js'

export interface Interaction {
  readonly from: string
  readonly to: string
  readonly kind: Kind
  readonly id: string
  /** In milliseconds since 1970; not always after that of the one before. */
  readonly at: number
}

export interface Wanted {
  readonly seed: number
  readonly users: number
  readonly count: number
}

/** Those of the README and of its test. */
export const shown: Wanted = { seed: 1, users: 1_500, count: 20_000 }

const begin = Date.UTC(2025, 0, 1)
/** Most look, some like, few write. */
const shares = { view: 0.6, like: 0.25, message: 0.15 }

export function* interactions({ seed, users, count }: Wanted): Generator<Interaction> {
  const random = randomFrom(seed)
  const below = (end: number) => Math.floor(end * random())
  // Squared: low numbers are drawn far more often.
  const someone = () => `user-${Math.floor(users * random() ** 2)}`
  const latest = new Map<string, Interaction[]>()
  let previous: Interaction | undefined
  for (let n = 0; n < count; n += 1) {
    const answered = random() < 0.25 ? previous : undefined
    const from = answered?.to ?? someone()
    const own = latest.get(from) ?? []
    const repeated = random() < 0.03 ? own[below(own.length)] : undefined
    const interaction = repeated ?? {
      from,
      // Now and then somebody looks at himself, which is between nobody.
      to: answered?.from ?? (random() < 0.01 ? from : someone()),
      kind:
        kinds[
          draw(
            random,
            kinds.map((kind) => shares[kind]),
          )
        ] ?? 'view',
      id: n.toString(36),
      at: begin + n * 1_000 - below(5_000),
    }
    if (repeated === undefined) latest.set(from, [...own, interaction].slice(-10))
    yield interaction
    previous = interaction
  }
}
