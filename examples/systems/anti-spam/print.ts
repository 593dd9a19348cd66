// Prints the records of a stream as lines for `millrace emit`: `node dist/examples/systems/anti-spam/print.js messages`.
import { makeEvents, shown } from './events.js'

for (const { stream, user, value, at } of makeEvents(shown).events) {
  if (stream === process.argv[2]) console.log(JSON.stringify({ key: user, value, timestamp: at }))
}
