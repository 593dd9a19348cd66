// As what a host is in its groups: told by the newest of those that have joined one.
import { join } from 'node:path'
import t from 'tap'
import { OwnMembers } from '#host/log/kafka/members.js'
import { testFolder } from '../../../support/folder.js'

const group = 'counts'
const as = (member: string) => ({ group, generation: 1, member })

t.test('a member is known until it leaves', async (t) => {
  const members = new OwnMembers()
  t.equal(await members.of(group), undefined)
  const place = members.place(group)
  place.set(as('one'))
  t.same(await members.of(group), as('one'))
  place.set(null)
  t.equal(await members.of(group), null)
  place.forget()
  t.equal(await members.of(group), undefined)
})

t.test('one that has come too late tells nothing of the one in its place', async (t) => {
  const file = join(testFolder(t), 'members.json')
  const members = new OwnMembers(file)
  const late = members.place(group)
  const place = members.place(group)
  place.joining('two')
  place.set(as('two'))
  late.joining('one')
  late.set(as('one'))
  t.same(await members.of(group), as('two'))
  late.set(null)
  late.forget()
  t.same(await members.of(group), as('two'))
  t.equal(new OwnMembers(file).former(group), 'two')
})
t.end()
