// The network of `npm run chaos`: its names and addresses, and that nothing of it is left behind.
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import t from 'tap'
import { networkPlan, subnets, unusedSubnet } from '#chaos/addresses.js'
import { networkOf } from '#chaos/network.js'

t.test('a subnet is one that no route leads to', async (t) => {
  t.equal(unusedSubnet([], 0), '10.0.0')
  t.equal(unusedSubnet([], 258), '10.1.2')
  // One wider than it, one within it, a single address, and what leads to everywhere.
  t.equal(unusedSubnet(['10.1.0.0/16'], 258), '10.2.0')
  t.equal(unusedSubnet(['10.1.2.128/25'], 258), '10.1.3')
  t.equal(unusedSubnet(['10.1.2.7'], 258), '10.1.3')
  t.equal(unusedSubnet(['default', '0.0.0.0/1', '192.168.0.0/16'], 258), '10.1.2')
})

t.test('they are looked through from any one to the one before it', async (t) => {
  t.equal(unusedSubnet(['10.255.255.0/24'], subnets - 1), '10.0.0')
  t.equal(unusedSubnet(['10.0.0.0/8'], 7), undefined)
})

t.test('each instance has an address and a name of its own, which the kernel takes', async (t) => {
  const { bridge, gateway, links } = networkPlan('zzzzz', '10.1.2', ['a', 'b', 'c'])
  t.equal(gateway, '10.1.2.1')
  t.same(
    links.map(({ address }) => address),
    ['10.1.2.2', '10.1.2.3', '10.1.2.4'],
  )
  const names = [bridge, ...links.map(({ link }) => link)]
  t.equal(new Set(names).size, 4)
  for (const name of names) t.ok(name.length <= 15, name)
})

/** Undefined: it is reached; else why not. */
function knock(within: readonly string[], host: string, port: number): string | undefined {
  const [program = '', ...args] = within
  const code = `require('node:net').connect({ host: '${host}', port: ${port}, timeout: 500 })
    .on('connect', () => process.exit(0)).on('timeout', () => process.exit(1)).on('error', () => process.exit(1))`
  try {
    execFileSync(program, [...args, process.execPath, '-e', code], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return String(error)
  }
}

t.test('an instance that is unplugged reaches nobody, until it is plugged in', async (t) => {
  const said: string[] = []
  const ends: (() => unknown)[] = []
  const scope = {
    teardown: (end: () => unknown) => void ends.push(end),
    comment: (text: string) => void said.push(text),
  }
  t.teardown(() => ends.forEach((end) => void end()))
  const network = networkOf(scope, ['a', 'b'])
  if (network === undefined) {
    t.match(said, [/^no network namespaces here: ./])
    t.comment(...said)
    return
  }
  const [first, second] = network.links
  if (first === undefined || second === undefined) throw new RangeError('there are two links')
  const server = createServer().listen(0, network.gateway)
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = Object(server.address())

  t.equal(knock(first.within, network.gateway, port), undefined)
  first.unplug()
  t.ok(knock(first.within, network.gateway, port))
  t.equal(knock(second.within, network.gateway, port), undefined, 'the other one is left alone')
  first.plug()
  t.equal(knock(first.within, network.gateway, port), undefined)

  for (const end of ends) end()
  t.same(said, [])
  const addresses = execFileSync('ip', ['addr'], { encoding: 'utf8' })
  t.notMatch(addresses, `${network.gateway}/`)
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const { within } of network.links) {
    const name = within.join(' ').split('/').at(-1) ?? ''
    t.match(name, /^chaos-/)
    t.notMatch(namespaces, name)
    t.notMatch(addresses, name)
  }
})
