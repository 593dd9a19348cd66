// What the routes are made from, and the two shapes that all of them share.
import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import type { Cluster } from '../cluster/cluster.js'
import type { Config } from '../config.js'
import type { Catalog } from '../functions/catalog.js'
import type { Operator } from '../functions/operation.js'
import type { Log } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { Gate } from './gate.js'

export interface HttpDeps {
  readonly catalog: Catalog
  readonly operator: Operator
  readonly log: Log
  readonly gate: Gate
  readonly config: Config
  readonly logger: Logger
  /** Absent: this host has all partitions. */
  readonly cluster?: Cluster | undefined
  /** Aborted when the host begins to stop: writes are refused and waits end from then on; reads go on. */
  readonly stopping: AbortSignal
}

/** Other instances may have what this host has not. */
export const isClustered = (deps: HttpDeps): deps is ClusteredDeps => deps.cluster !== undefined

export type ClusteredDeps = HttpDeps & { readonly cluster: Cluster }

/** Node's request and response; absent in `app.request()`. */
export interface HttpEnv {
  Bindings: HttpBindings
  /** `body`: as it was read before. */
  Variables: { body?: Buffer }
}

export type HttpContext = Context<HttpEnv>
export type HttpApp = Hono<HttpEnv>
