// Prints interactions as lines for `millrace emit interactions`.
import { interactions, shown } from './events.js'

for (const { from, at, ...value } of interactions(shown)) {
  console.log(JSON.stringify({ key: from, value, timestamp: at }))
}
