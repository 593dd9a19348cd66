import t from 'tap'
import { Seeds } from '#host/log/kafka/seeds.js'

const times = (n: number, seeds: Seeds) => Array.from({ length: n }, () => seeds.next())
const at = (port: number, host = 'here') => ({ id: port, host, port })

t.test('one after the other, each of them', async (t) => {
  const seeds = new Seeds(['a:1', 'b:2', 'c:3', 'd:4'])
  t.same(times(5, seeds), ['a:1', 'b:2', 'c:3', 'd:4', 'a:1'])
})

t.test('first those that were heard of last, then those that are set', async (t) => {
  const seeds = new Seeds(['here:1', 'name:2'])
  seeds.heard([at(1), at(3), at(4)])
  t.same(times(4, seeds), ['here:1', 'here:3', 'here:4', 'name:2'])
  seeds.heard([at(4)])
  t.same(times(4, seeds), ['here:4', 'here:1', 'name:2', 'here:4'])
})

t.test('the same heard again changes nothing', async (t) => {
  const seeds = new Seeds(['here:1'])
  seeds.heard([at(1), at(2)])
  t.same(times(1, seeds), ['here:1'])
  seeds.heard([at(1), at(2)])
  t.same(times(1, seeds), ['here:2'])
})

t.test('an address that kafkajs could not take apart is left out', async (t) => {
  const seeds = new Seeds(['here:1'])
  seeds.heard([at(2, '::1')])
  t.same(seeds.all, ['here:1'])
})
