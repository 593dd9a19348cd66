// Prints the likes as lines for `millrace emit likes`.
import { makeLikes, shownLikes } from './events.js'

for (const { user, item } of makeLikes(shownLikes).likes) {
  console.log(JSON.stringify({ key: user, value: { item } }))
}
