// Finds who says the same to several: only of such a text is the text told. What is said once stays here.
import { defineProcessor, json } from 'millrace'
import { fingerprint } from '../fingerprint.js'
import { post, type Repeat } from '../messages.js'
import { bulkReceivers } from '../ring.js'
import { hourMs } from '../verdict.js'

interface Said {
  text: string
  hour: number
  /** Different receivers, up to as many as make a text bulk by itself. */
  to: string[]
}

/** A text is told of who has sent it to so many within an hour. */
const several = 2
/** Texts of a sender that are known. */
const known = 32

export default defineProcessor({
  inputs: { messages: json(post) },
  /** Of the newest hour and the one before. */
  table: json<Said[]>(),
  outputs: { repeats: json<Repeat>() },
  on: {
    messages(ctx, { to, text: words }) {
      const text = fingerprint(words)
      if (text === undefined) return
      const hour = Math.floor(ctx.timestamp / hourMs)
      const before = ctx.get() ?? []
      const newest = Math.max(hour, ...before.map((each) => each.hour))
      if (hour < newest - 1) return
      const said = before.find((each) => each.text === text && each.hour === hour)
      if (said?.to.includes(to) || said?.to.length === bulkReceivers) return
      const others = before.filter((each) => each !== said && each.hour >= newest - 1)
      const all = [...(said?.to ?? []), to]
      ctx.set([...others, { text, hour, to: all }].slice(-known))
      if (all.length < several) return
      const isFirst = all.length === several
      ctx.emit('repeats', `${text}/${hour}`, {
        sender: ctx.key,
        to: isFirst ? all : [to],
        isFirst,
      })
    },
  },
})
