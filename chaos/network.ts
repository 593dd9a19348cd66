// A network namespace of its own for each instance, where this machine lets this user make them: each has a link to a bridge, which can be unplugged.
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import type { Scope } from '../test/support/scope.js'
import { networkPlan, subnets, unusedSubnet } from './addresses.js'

export interface Link {
  /** Of the instance. */
  readonly address: string
  /** What a program is started by, to be within the namespace. */
  readonly within: readonly string[]
  /** Nothing comes through any more, and nobody is told. */
  unplug(): void
  plug(): void
}

export interface Network {
  /** Where the instances reach this machine. */
  readonly gateway: string
  readonly links: readonly Link[]
}

/** By which a namespace without anybody who listens is tried: it refuses, which is an answer. */
const trial = `
for (const host of process.argv.slice(1)) {
  const socket = require('node:net').connect({ host, port: 9, timeout: 3000 })
  const failed = (why) => {
    console.error(host + ' is not reached from a namespace (' + why + '): is there a firewall between bridged interfaces?')
    process.exit(1)
  }
  socket.on('connect', () => socket.destroy())
  socket.on('timeout', () => failed('no answer'))
  socket.on('error', ({ code }) => code === 'ECONNREFUSED' || failed(code))
}`
const trialMs = 10_000

/** In the order of the names. Undefined, and said so: they are not to be had here. */
export function networkOf(t: Scope, names: readonly string[]): Network | undefined {
  const undo: (readonly string[])[] = []
  const remove = () => {
    for (const args of undo.splice(0).reverse()) {
      try {
        ip(args)
      } catch (error) {
        t.comment(`left behind: ip ${args.join(' ')} failed: ${reason(error)}`)
      }
    }
  }
  t.teardown(remove)
  try {
    return made(names, (args) => undo.push(args))
  } catch (error) {
    remove()
    t.comment(`no network namespaces here: ${reason(error)}`)
    return undefined
  }
}

function made(names: readonly string[], undoneBy: (args: readonly string[]) => void): Network {
  const subnet = unusedSubnet(routes(), randomInt(subnets))
  if (subnet === undefined) throw new Error('every address that begins with 10 has a route')
  const { bridge, gateway, links } = networkPlan(newId(), subnet, names)
  ip(['link', 'add', bridge, 'type', 'bridge'])
  undoneBy(['link', 'del', bridge])
  ip(['addr', 'add', `${gateway}/24`, 'dev', bridge])
  ip(['link', 'set', bridge, 'up'])
  for (const { link, address } of links) {
    ip(['netns', 'add', link])
    undoneBy(['netns', 'del', link])
    ip(['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', link])
    undoneBy(['link', 'del', link])
    ip(['link', 'set', link, 'master', bridge, 'up'])
    ip(['-n', link, 'addr', 'add', `${address}/24`, 'dev', 'eth0'])
    ip(['-n', link, 'link', 'set', 'eth0', 'up'])
    ip(['-n', link, 'link', 'set', 'lo', 'up'])
  }
  const [first, ...others] = links
  if (first !== undefined)
    tried(within(first.link), [gateway, ...others.map(({ address }) => address)])
  return {
    gateway,
    links: links.map(({ link, address }) => ({
      address,
      within: within(link),
      unplug: () => void ip(['link', 'set', link, 'down']),
      plug: () => void ip(['link', 'set', link, 'up']),
    })),
  }
}

/** `nsenter` becomes what it starts: one process, which signals reach. */
const within = (namespace: string): string[] => ['nsenter', `--net=/run/netns/${namespace}`]

function tried([program = '', ...args]: readonly string[], hosts: readonly string[]): void {
  execFileSync(program, [...args, process.execPath, '-e', trial, ...hosts], {
    stdio: 'pipe',
    timeout: trialMs,
  })
}

/** Of all tables: also those of addresses and of other networks. */
function routes(): string[] {
  const found: unknown = JSON.parse(ip(['-j', '-4', 'route', 'show', 'table', 'all']))
  return Array.isArray(found) ? found.map((route) => String(Object(route).dst)) : []
}

const ip = (args: readonly string[]): string =>
  execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' })

/** So that several runs get along, also those of several containers on one network. */
const newId = (): string => randomInt(36 ** 5).toString(36)

function reason(error: unknown): string {
  const { stderr, message } = Object(error)
  const said = String(stderr ?? '').trim()
  return (said === '' ? String(message) : said).replaceAll('\n', ' ')
}
