// The peer of the view reads, as a process of its own: Hono that answers the same paths with a constant text.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const app = new Hono()
app.get('/views/:table/:key', (c) => c.text('{"count":1}'))
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`)
})
