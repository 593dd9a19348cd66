// Prints the events as lines for `millrace emit events`.
import { makeEvents, shownEvents } from './events.js'

const { events, heldOut } = makeEvents(shownEvents)
for (const { user, category } of [...events, ...heldOut]) {
  console.log(JSON.stringify({ key: user, value: { category } }))
}
