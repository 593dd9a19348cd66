// The composition: log, functions, gate and HTTP, started in this order and stopped in the reverse.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { advertisedAddress, newInstance } from './cluster/address.js'
import { Cluster, howToRoute } from './cluster/cluster.js'
import { tellLeft } from './cluster/tell-left.js'
import type { Config } from './config.js'
import { Control } from './control/control.js'
import { HostError } from './errors.js'
import { isFolder } from './folder.js'
import type { Catalog } from './functions/catalog.js'
import { LiveCatalog } from './functions/live-catalog.js'
import { PausedFunctions } from './functions/paused.js'
import { type FunctionPorts, levelPorts } from './functions/ports.js'
import type { Supervision } from './functions/quarantine.js'
import { Registry } from './functions/registry.js'
import { createApp } from './http/app.js'
import { createGate } from './http/gate.js'
import { createQuickRead } from './http/quick-read.js'
import { bindPort } from './http/serve.js'
import { Stack } from './lifecycle.js'
import type { GroupPeer } from './log/log.js'
import type { Logger } from './logger.js'
import { type LogPorts, openHostLog } from './open-log.js'

/** What the host is composed with; others may take the place of the shipped ones. */
export interface HostPorts extends LogPorts {
  readonly functions: FunctionPorts
}

export interface HostOptions {
  readonly config: Config
  /** Follow the folder of functions. */
  readonly watch: boolean
  readonly logger: Logger
  /** Default: as the host ships. */
  readonly ports?: Partial<HostPorts>
  /** Absent: nobody starts it anew. */
  readonly supervision?: Supervision | undefined
  /** Ends a start that waits for room on the disk. */
  readonly signal?: AbortSignal
}

export interface RunningHost extends AsyncDisposable {
  /** Where it listens, as `http://host:port`. */
  readonly url: string
  readonly catalog: Catalog
  /** Resolves if something failed without which the host cannot go on; then it has to be disposed of and started anew. */
  readonly failed: Promise<HostError>
  /** Takes up what has changed in the folder of functions since it was last looked at. */
  reload(): Promise<void>
}

const vitalsMs = 100
const unsupervised: Supervision = {
  quarantined: [],
  suspected: [],
  vitals: () => {},
  released: () => {},
}

export async function startHost(options: HostOptions): Promise<RunningHost> {
  const { config, watch, logger, ports, supervision, signal } = options
  const stack = new Stack()
  try {
    if (!watch) await needFunctions(config.functions)
    await prepareFolder(config.data)
    let fail: (error: HostError) => void = () => {}
    const failed = new Promise<HostError>((resolve) => {
      fail = resolve
    })
    const { partitions, maxRecordBytes, tombstoneRetentionMs } = config.log
    const kept = stack.use(await openHostLog({ config, logger, ports, signal, onFailure: fail }))
    const { log } = kept
    // Before functions run: nobody could reach them, and the groups that they join tell the others where that is.
    const port = stack.use(await bindPort(config.http))
    const address = advertisedAddress({ ...config.http, port: port.port })
    const cluster =
      config.log.kind === 'kafka' ? stack.use(clusterOf(config, address, logger)) : undefined
    const instance = cluster?.instance ?? newInstance()
    const former = join(config.data, 'paused.json')
    // The embedded log is this host's alone: there is nobody else to be told.
    const control =
      cluster &&
      new Control({
        log,
        namespace: config.namespace,
        instance,
        logger,
        former,
        // Before that a host that died is missed by none of its groups.
        times: { takeOverMs: config.log.kafka.sessionTimeoutMs },
      })
    const registry = new Registry({
      log,
      logger,
      root: config.root,
      folder: config.functions,
      tables: join(config.data, 'tables'),
      supervision: supervision ?? unsupervised,
      paused: control?.pauses ?? new PausedFunctions(former),
      ...(control && { ready: () => control.ready() }),
      logAway: kept.away,
      namespace: config.namespace,
      partitions,
      settings: {
        flush: config.flush,
        cacheBytes: config.cache.maxBytes,
        maxRecordBytes,
        // Half of what a drain has, so that the flush after a given-up attempt has the other half.
        attemptGraceMs: config.limits.drainMs / 2,
        tombstoneRetentionMs,
        cleanupDelayMs: config.log.kafka.cleanupDelayMs,
      },
      ports: ports?.functions ?? levelPorts(config.tables),
      drainMs: config.limits.drainMs,
      loadMs: config.limits.loadMs,
      sample: { maxValues: config.limits.probeValues, maxBytes: config.limits.probeBytes },
      instance,
      ...(cluster && {
        address,
        left: (name: string, others: readonly GroupPeer[]) => tellLeft(cluster, name, others),
      }),
    })
    stack.use(registry)
    if (control !== undefined) stack.use(control).start(registry)
    kept.usedBy(registry)
    const catalog = stack.use(
      new LiveCatalog(registry, log, () => kept.problem(), config.limits.stalledMs),
    )
    const gate = stack.use(
      createGate({
        bundle: (name) => catalog.bundle(name),
        gateMs: config.limits.gateMs,
        loadMs: config.limits.loadMs,
        maxWaiting: config.limits.maxWaiting,
        logger,
      }),
    )
    if (supervision !== undefined) {
      const vitals = setInterval(() => registry.tellVitals(), vitalsMs)
      stack.defer(() => clearInterval(vitals))
    }
    const stopping = new AbortController()
    const app = createApp({
      catalog,
      operator: control ?? registry,
      log,
      gate,
      config,
      logger,
      cluster,
      stopping: stopping.signal,
    })
    const quickRead = createQuickRead({ catalog, config, logger })
    const started = registry.start({ watch })
    const server = stack.use(port.serve(app, { quickRead, opened: started }))
    await started
    // Disposed of first: ends the waits that the server's own stop waits for.
    stack.defer(() => stopping.abort(new HostError('STOPPING', 'the host is stopping')))
    return {
      url: server.url,
      catalog,
      failed,
      reload: () => registry.reload(),
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    }
  } catch (error) {
    await stack[Symbol.asyncDispose]()
    throw error
  }
}

function clusterOf({ http, cluster }: Config, address: string, logger: Logger): Cluster {
  const { credential, timeoutMs } = cluster
  const admission = { credential, isOpen: http.tokens.length === 0 }
  const made = new Cluster({ instance: newInstance(), address, admission, timeoutMs })
  if (!made.isRouting) {
    logger.warn(
      `there is no cluster secret: keys of other instances are not answered here; ${howToRoute}`,
    )
  }
  return made
}

/** A folder that is missing may come while it is followed, but not otherwise. */
async function needFunctions(folder: string): Promise<void> {
  if (await isFolder(folder)) return
  throw new HostError(
    'BAD_CONFIG',
    `functions: there is no folder ${folder}: make it, or name another with "functions" in host.config.json`,
  )
}

async function prepareFolder(data: string): Promise<void> {
  try {
    await mkdir(data, { recursive: true })
  } catch (cause) {
    throw new HostError(
      'DATA_NOT_WRITABLE',
      `the data folder ${data} cannot be made: ${cause instanceof Error ? cause.message : String(cause)}; give the host a folder that it may write (--data, or "data" in host.config.json)`,
      { cause },
    )
  }
}
