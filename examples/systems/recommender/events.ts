// Made-up likes: users with tastes that nobody is told of. The same seed, the same likes.
import { draw, randomFrom } from '../random.js'

export interface Like {
  readonly user: string
  readonly item: string
}

export interface Likes {
  readonly likes: readonly Like[]
  /** The last like of each user, which is not among the likes: what a recommender would have to foresee. */
  readonly heldOut: readonly Like[]
}

export interface LikesOptions {
  readonly seed: number
  readonly users: number
  readonly genres: number
  readonly itemsOfGenre: number
}

/** What the test, and `print.js`, send. */
export const shownLikes: LikesOptions = { seed: 7, users: 3200, genres: 8, itemsOfGenre: 15 }

const fewestLikes = 4
const mostLikes = 11
/** Of likes that say again what the user has said lately. */
const repeated = 0.03
/** Of a user's likes: of the genre that is liked best, of the second, of any. */
const ofGenres = [0.7, 0.2, 0.1]

/**
 * A user likes mostly one genre, sometimes a second, now and then anything. Within a genre the k-th item draws 1/k^0.8 of the likes of
 * the first, and the k-th genre draws 1/√k of the users of the first, so that there are items that everybody likes.
 */
export function makeLikes({ seed, users, genres, itemsOfGenre }: LikesOptions): Likes {
  const random = randomFrom(seed)
  const genreWeights = Array.from({ length: genres }, (_, k) => 1 / Math.sqrt(k + 1))
  const itemWeights = Array.from({ length: itemsOfGenre }, (_, k) => 1 / (k + 1) ** 0.8)
  const queues = Array.from({ length: users }, (_, n) => {
    const tastes = [draw(random, genreWeights), draw(random, genreWeights)]
    const wanted = fewestLikes + Math.floor(random() * (mostLikes - fewestLikes + 1))
    const liked = new Set<string>()
    while (liked.size < wanted) {
      const genre = tastes[draw(random, ofGenres)] ?? draw(random, genreWeights)
      liked.add(`film-${genre + 1}-${draw(random, itemWeights) + 1}`)
    }
    return { user: `user-${n + 1}`, items: [...liked], next: 0 }
  })
  const heldOut = queues.map(({ user, items }) => ({ user, item: items.pop() ?? '' }))
  // Of the users who have not said everything any is next, as it happens.
  const likes: Like[] = []
  while (queues.length > 0) {
    const index = Math.floor(random() * queues.length)
    const queue = queues[index]
    const item = queue?.items[queue.next]
    if (queue === undefined || item === undefined) {
      queues.splice(index, 1)
      continue
    }
    likes.push({ user: queue.user, item })
    if (random() >= repeated) queue.next += 1
  }
  return { likes, heldOut }
}
