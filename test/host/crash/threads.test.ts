// Threads that die in the middle of a flush, on the embedded log.
import t from 'tap'
import { embedded } from './project-log.js'
import { endThreads } from './threads.js'

t.test('threads that die in the middle of a flush', { timeout: 580_000 }, async (t) => {
  await endThreads(t, embedded)
})
