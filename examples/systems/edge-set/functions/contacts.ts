// How many others a user has to do with, and with how many of them in both directions: without reading all edges.
import { defineProcessor, json } from 'millrace'

interface Contacts {
  contacts: number
  mutual: number
}

export default defineProcessor({
  inputs: { contacts: json<Contacts>() },
  table: json<Contacts>(),
  on: {
    contacts(ctx, more) {
      const before = ctx.get() ?? { contacts: 0, mutual: 0 }
      ctx.set({
        contacts: before.contacts + more.contacts,
        mutual: before.mutual + more.mutual,
      })
    },
  },
})
