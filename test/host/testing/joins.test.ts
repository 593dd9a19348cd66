// Joins and lookups in the test kit: the same copies as the host has, on the memory log.
import { defineProcessor, json, string } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'

interface Profile {
  readonly name: string
}

const profiles = defineProcessor({
  inputs: { signups: json<Profile>() },
  table: json<Profile>(),
  on: {
    signups(ctx, profile) {
      if (profile.name === '') ctx.delete()
      else ctx.set(profile)
    },
  },
})

const greeter = defineProcessor({
  inputs: { visits: string },
  joins: { profiles: json<Profile>() },
  lookups: { titles: string },
  outputs: { greetings: string },
  on: {
    visits(ctx, page) {
      const name = ctx.join('profiles')?.name ?? 'stranger'
      ctx.emit('greetings', ctx.key, `${name} sees ${ctx.lookup('titles', page) ?? page}`)
    },
  },
})

const titles = defineProcessor({
  inputs: { pages: string },
  table: string,
  on: { pages: (ctx, title) => ctx.set(title) },
})

const functions = { profiles, greeter, titles }

t.test('a handler reads what other tables have for its key, and for any key', async (t) => {
  await using host = await testHost(functions)
  await host.emit('visits', 'ann', 'home')
  await host.settled()
  await host.emit('signups', 'ann', { name: 'Ann' })
  await host.emit('pages', 'home', 'Start')
  await host.settled()
  await host.emit('visits', 'ann', 'home')
  await host.emit('visits', 'bob', 'home')
  await host.settled()
  await host.emit('signups', 'ann', { name: '' })
  await host.settled()
  await host.emit('visits', 'ann', 'other')
  await host.settled()
  const greetings = host.stream('greetings')
  const found: string[] = []
  for (let n = 0; n < 4; n += 1) found.push((await greetings.next())?.value ?? '')
  t.same(found.sort(), [
    'Ann sees Start',
    'stranger sees Start',
    'stranger sees home',
    'stranger sees other',
  ])
})

t.test('they are there before the first record, also after a crash and a lost disk', async (t) => {
  for (const losesDisk of [false, true]) {
    await using host = await testHost(functions)
    for (let n = 0; n < 50; n += 1) await host.emit('signups', `u${n}`, { name: `U${n}` })
    await host.emit('pages', 'home', 'Start')
    await host.settled()
    for (let n = 0; n < 50; n += 1) await host.emit('visits', `u${n}`, 'home')
    await host.crash({ store: losesDisk ? 'lost' : 'kept' })
    await host.settled()
    const greetings = host.stream('greetings')
    const found = new Set<string>()
    for (let n = 0; n < 50; n += 1) found.add((await greetings.next())?.value ?? '')
    t.same(found, new Set(Array.from({ length: 50 }, (_, n) => `U${n} sees Start`)))
  }
})
