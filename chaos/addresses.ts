// What a network of instances is called, and which of this machine's unused addresses it has.

export interface LinkPlan {
  /** Of the namespace, and of its link's end at the bridge. */
  readonly link: string
  readonly address: string
}

export interface NetworkPlan {
  readonly bridge: string
  /** Where this machine itself is reached. */
  readonly gateway: string
  readonly links: readonly LinkPlan[]
}

interface Net {
  readonly bits: number
  readonly prefix: number
}

export const subnets = 256 * 256
/** Wider ones lead to everywhere, as the default route does. */
const leastPrefix = 8
const ownPrefix = 24

/** `10.x.y`, whose 256 addresses no route of these leads to; undefined: there is none. `start`: which of the subnets is looked at first. */
export function unusedSubnet(routes: readonly string[], start: number): string | undefined {
  const taken = routes.flatMap(netOf).filter(({ prefix }) => prefix >= leastPrefix)
  for (let n = 0; n < subnets; n += 1) {
    const at = (start + n) % subnets
    const subnet = `10.${at >> 8}.${at & 255}`
    const own = { bits: bitsOf(`${subnet}.0`), prefix: ownPrefix }
    if (!taken.some((net) => overlap(net, own))) return subnet
  }
  return undefined
}

/** `id`: up to 7 characters; the names of links have 15 at most. */
export const networkPlan = (
  id: string,
  subnet: string,
  instances: readonly string[],
): NetworkPlan => ({
  bridge: `chaos-${id}`,
  gateway: `${subnet}.1`,
  links: instances.map((name, n) => ({
    link: `chaos-${id}-${name}`,
    address: `${subnet}.${n + 2}`,
  })),
})

/** Of `10.0.0.0/8`, or of a single address. */
function netOf(route: string): Net[] {
  const match = /^(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?$/.exec(route)
  if (match === null) return []
  const [, address = '', prefix = '32'] = match
  return [{ bits: bitsOf(address), prefix: Number(prefix) }]
}

const bitsOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

function overlap(a: Net, b: Net): boolean {
  const size = 2 ** (32 - Math.min(a.prefix, b.prefix))
  return Math.floor(a.bits / size) === Math.floor(b.bits / size)
}
