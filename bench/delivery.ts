// Counted, and each count passed on: outputs within the flush's transaction, and outputs that leave ahead of it.
import { countWithHost, loadEvents } from './counting.js'
import { type Figure, perSecond } from './figure.js'
import { countFunction, type Delivery } from './project.js'

// Another number than the other counts have: those events lie in the same topic.
const keys = 10_000

export const delivery: Figure = {
  name: 'delivery',
  async measure(options) {
    const input = await loadEvents(options, keys)
    const rates = new Map<Delivery, number[]>([['exactly-once', []], ['at-least-once', []]]) // biome-ignore format: a table
    let revision = 0
    for (let run = 0; run < options.runs; run += 1) {
      for (const [passesOn, samples] of rates) {
        options.say(`delivery: run ${run + 1} of ${options.runs}, ${passesOn}`)
        revision += 1
        const text = countFunction({ revision, passesOn })
        const counted = await countWithHost(options, input, { name: 'click-count', text })
        samples.push(perSecond(options.events, counted.listeningAt, counted.reflectedAt))
      }
    }
    const [once = [], atLeastOnce = []] = [...rates.values()]
    const unit = 'events/s'
    return [
      {
        name: `count and pass on, ${keys.toLocaleString('en')} keys, delivery at-least-once`,
        unit,
        samples: atLeastOnce,
        peer: { name: 'the same, exactly-once', samples: once },
      },
    ]
  },
}
