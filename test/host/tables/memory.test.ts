// The store in memory: the conformance suite, and what the test kit asks of it besides.
import t from 'tap'
import { createMemoryStore } from '#host/tables/memory.js'
import { metaAt, put, storeConformance } from './conformance.js'

storeConformance(t, 'memory', () => {
  const store = createMemoryStore()
  return { open: async () => store.reopen() }
})

t.test('two handles see one content, and closing one leaves the other open', async (t) => {
  const first = createMemoryStore()
  const second = first.reopen()
  await first.partition(0).write([put('a', '1')], metaAt(1))
  await first[Symbol.asyncDispose]()
  t.same(second.partition(0).get(Buffer.from('a')), Buffer.from('1'))
})
