// Prints the records of a stream as lines for `millrace emit`: `node dist/examples/systems/match-search/print.js positions`.
import { movements, shown } from './events.js'

for (const { stream, user, value } of movements(shown)) {
  if (stream === process.argv[2]) console.log(JSON.stringify({ key: user, value }))
}
