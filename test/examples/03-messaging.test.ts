// All five functions together: translated, blocked by a person, blocked by the detector; and as the README shows them.
import { testHost } from 'millrace/testing'
import t from 'tap'
import blocker from '../../examples/03-messaging/functions/blocker.js'
import detector from '../../examples/03-messaging/functions/detector.js'
import feeds from '../../examples/03-messaging/functions/feeds.js'
import filter from '../../examples/03-messaging/functions/filter.js'
import translator from '../../examples/03-messaging/functions/translator.js'
import { checkReadme } from '../support/example-readme.js'

async function messaging() {
  const host = await testHost({ blocker, detector, feeds, filter, translator })
  return {
    host,
    async send(from: string, to: string, ...contents: string[]) {
      for (const content of contents) await host.emit('sent', from, { to, content })
      await host.settled()
    },
    feed: (user: string) =>
      host
        .table('feeds')
        .get(user)
        ?.map(({ content }) => content),
    [Symbol.asyncDispose]: () => host.close(),
  }
}

t.test('a feed has the latest five messages', async (t) => {
  await using m = await messaging()
  for (const from of ['alice', 'carol', 'dave']) await m.send(from, 'bob', `${from} 1`, `${from} 2`)
  t.same(m.feed('bob'), ['alice 2', 'carol 1', 'carol 2', 'dave 1', 'dave 2'])
})

t.test('words are translated until the translation is taken back', async (t) => {
  await using m = await messaging()
  await m.host.emit('translations', 'hello', 'salut')
  await m.host.settled()
  await m.send('alice', 'bob', 'hello you, hello')
  await m.host.emit('translations', 'hello', null)
  await m.host.settled()
  await m.send('alice', 'bob', 'hello')
  t.same(m.feed('bob'), ['salut you, salut', 'hello'])
})

t.test('who is blocked reaches nobody until he is forgiven', async (t) => {
  await using m = await messaging()
  await m.host.emit('blocks', 'eve', { blocked: true })
  await m.host.settled()
  await m.send('eve', 'bob', 'one')
  await m.host.emit('blocks', 'eve', { blocked: false })
  await m.host.settled()
  await m.send('eve', 'bob', 'two')
  t.same(m.feed('bob'), ['two'])
})

t.test('who sends much and receives little is blocked', async (t) => {
  await using m = await messaging()
  await m.send('eve', 'bob', '1', '2', '3', '4')
  t.equal(m.host.table('blocker').get('eve'), undefined)
  await m.send('eve', 'bob', '5')
  t.same(m.host.table('blocker').get('eve'), { blocked: true })
  await m.send('eve', 'carol', '6')
  t.equal(m.feed('carol'), undefined)

  // Bob has received as much as he sends.
  await m.send('bob', 'alice', '1', '2', '3', '4', '5')
  t.equal(m.host.table('blocker').get('bob'), undefined)
  t.same(m.host.table('detector').get('bob'), { sent: 5, received: 5 })
})

t.test('the README draws and does what is true', (t) => checkReadme(t, 'examples/03-messaging'))
