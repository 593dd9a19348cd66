// Where other instances reach a host: as it is told, or as it listens.
import { hostname } from 'node:os'
import t from 'tap'
import { advertisedAddress, newInstance } from '#host/cluster/address.js'

t.test('the address that others are told', (t) => {
  const of = (host: string, advertise?: string) => advertisedAddress({ host, port: 80, advertise })
  t.equal(of('127.0.0.1'), 'http://127.0.0.1:80')
  t.equal(of('one.example'), 'http://one.example:80')
  t.equal(of('::1'), 'http://[::1]:80')
  for (const all of ['0.0.0.0', '0', '::', '0:0:0:0:0:0:0:0']) {
    t.equal(of(all), `http://${hostname()}:80`, all)
  }
  t.equal(of('0.0.0.0', 'https://one.example:8443/'), 'https://one.example:8443')
  t.not(newInstance(), newInstance(), 'each process is another, at the same address too')
  t.end()
})
