// The prices as the shop has them, from a copy of its table that is kept here.
import { defineView, json } from 'millrace'

export default defineView({
  table: 'shop-table',
  codec: json<{ cents: number }>(),
})
