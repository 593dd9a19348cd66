// All that a run takes place on: a broker of its own, a way to it for each instance, and the instances.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Broker, startBroker } from '../test/support/kafka/broker.js'
import { quick } from '../test/support/kafka/java.js'
import { freePort } from '../test/support/kafka/ports.js'
import { proxyTo, type Request, type Proxy as Way } from '../test/support/kafka/proxy.js'
import type { Scope } from '../test/support/scope.js'
import { smallDisk } from '../test/support/small-disk.js'
import { type Delivery, type FunctionName, functionNames, sources } from './functions.js'
import { Instance } from './instance.js'
import { networkOf } from './network.js'
import { type InstanceName, instances as names, smallDiskOf } from './schedule.js'
import { guardedVariables, hostVariables, tailVariables } from './settings.js'

const diskBytes = 96 * 1024 * 1024
const syncGroup = 14

export interface StageOptions {
  readonly folder: string
  readonly delivery: Delivery
  /** False: none are made, though they could be had. */
  readonly namespaces: boolean
  readonly wrong: (what: string) => void
  readonly fetching: () => void
}

export class Stage {
  readonly broker: Broker
  readonly namespace: string
  readonly instances: readonly Instance[]
  /** Of any group: each time that its members were given their partitions. */
  readonly rebalances: ReadonlySet<string>
  readonly #delivery: Delivery
  #edition = 0

  private constructor(
    parts: Pick<Stage, 'broker' | 'namespace' | 'instances' | 'rebalances'>,
    delivery: Delivery,
  ) {
    this.broker = parts.broker
    this.namespace = parts.namespace
    this.instances = parts.instances
    this.rebalances = parts.rebalances
    this.#delivery = delivery
    for (const name of functionNames) this.save(name)
  }

  static async set(scope: Scope, options: StageOptions): Promise<Stage> {
    const { folder, delivery, namespaces, wrong, fetching } = options
    const namespace = `chaos-${randomUUID().slice(0, 8)}-`
    const rebalances = new Set<string>()
    const network = namespaces ? networkOf(scope, names) : undefined
    const ways = new Map<InstanceName, Way>()
    let broker: Broker | undefined
    const listener = (name: InstanceName) => broker?.listener(name.toUpperCase()) ?? '127.0.0.1:1'
    for (const name of names)
      ways.set(
        name,
        await proxyTo(
          scope,
          () => listener(name),
          (request) => count(rebalances, request),
          network?.gateway,
        ),
      )
    const port = await freePort()
    const advertised = [...ways].map(([name, way]) => `${name.toUpperCase()}://${way.address}`)
    broker = await startBroker({
      port,
      data: join(folder, 'kafka'),
      listeners: Object.fromEntries(names.map((name) => [name.toUpperCase(), 'PLAINTEXT'])),
      properties: {
        'advertised.listeners': [`PLAINTEXT://127.0.0.1:${port}`, ...advertised].join(','),
      },
      heapMb: 384,
      options: quick,
      fetching,
    })
    const { kill } = broker
    scope.teardown(kill)
    const token = randomUUID()
    const instances = names.map((name, n) => {
      const way = ways.get(name)
      if (way === undefined) throw new Error(`${name} has no way`)
      const link = network?.links[n]
      const guarded = link === undefined ? {} : guardedVariables(link.address, token)
      const env = { ...hostVariables(namespace, way.address), ...guarded }
      const disk = name === smallDiskOf ? smallDisk(scope, diskBytes) : undefined
      const given = link === undefined ? {} : { link, token }
      const instance = new Instance({ name, folder, env, way, disk, wrong, ...given })
      scope.teardown(() => instance.end())
      return instance
    })
    return new Stage({ broker, namespace, instances, rebalances }, delivery)
  }

  /** For who looks from outside. */
  get env(): Readonly<Record<string, string>> {
    return tailVariables(this.namespace, this.broker.address)
  }

  get hasSmallDisk(): boolean {
    return this.instances.some(({ disk }) => disk !== undefined)
  }

  get hasLinks(): boolean {
    return this.instances.every(({ link }) => link !== undefined)
  }

  instance(name: string): Instance {
    const found = this.instances.find((one) => one.name === name)
    if (found === undefined) throw new TypeError(`there is no instance ${name}`)
    return found
  }

  /** Another version of it, at every instance. */
  save(name: FunctionName): void {
    this.#edition += 1
    const source = sources[name]({ edition: this.#edition, delivery: this.#delivery })
    for (const instance of this.instances) instance.save(name, source)
  }
}

function count(rebalances: Set<string>, { apiKey, body }: Request): void {
  if (apiKey !== syncGroup) return
  const reader = body()
  const group = reader.string()
  rebalances.add(`${group} ${reader.int32()}`)
}
