// A project's folder with function files, for the tests of this room.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { HostError } from '#host/errors.js'
import { bundleFunction, functionName } from '#host/functions/bundle.js'
import type { Bundle } from '#host/functions/description.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { PausedFunctions } from '#host/functions/paused.js'
import { levelPorts } from '#host/functions/ports.js'
import { Registry, type RegistryOptions } from '#host/functions/registry.js'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import { testFolder } from '../../support/folder.js'

export interface Project {
  readonly root: string
  path(name: string): string
  /** Writes a file in one step, and makes the folders that lead to it. */
  write(name: string, text: string): Promise<string>
  /** Writes `functions/NAME` and bundles it. */
  bundle(name: string, text: string): Promise<Bundle>
}

export function createProject(t: Test): Project {
  const root = testFolder(t, { functions: {}, lib: {} })
  const path = (name: string) => join(root, name)
  const write = async (name: string, text: string) => {
    await mkdir(dirname(path(name)), { recursive: true })
    await writeFile(path('.written'), text)
    await rename(path('.written'), path(name))
    return path(name)
  }
  const bundle = async (name: string, text: string) => {
    const file = await write(`functions/${name}`, text)
    return await bundleFunction({ file, name: functionName(file), root })
  }
  return { root, path, write, bundle }
}

/** In the project's folder; to be closed by the caller, after what uses it. */
export const projectLog = (t: Test, project: Project): Promise<Log> =>
  openEmbeddedLog({
    path: project.path('log'),
    sync: false,
    maxQueuedBytes: 1_000_000,
    maxRecordBytes: 1_000_000,
    onFailure: (error) => t.error(error),
  })

/** What a registry of the project's functions needs. */
export const registryOptions = ({
  project,
  ...more
}: { project: Project } & Pick<RegistryOptions, 'log' | 'logger'>): RegistryOptions => ({
  ...more,
  root: project.root,
  folder: project.path('functions'),
  tables: project.path('tables'),
  paused: new PausedFunctions(project.path('paused.json')),
  supervision: { quarantined: [], suspected: [], vitals: () => {}, released: () => {} },
  namespace: '',
  partitions: 2,
  settings: {
    flush: { intervalMs: 1, maxIntervalMs: 10, maxBytes: 1_000_000, maxUnfinished: 1_000 },
    cacheBytes: 1_000_000,
    maxRecordBytes: 1_000_000,
    attemptGraceMs: 100,
    tombstoneRetentionMs: 1_000_000,
    cleanupDelayMs: 1_000_000,
  },
  drainMs: 200,
  loadMs: 10_000,
  sample: { maxValues: 100, maxBytes: 100_000 },
  ports: levelPorts(),
  instance: 'test',
})

/** The HostError that `work` rejects with; fails if it rejects with another, or not at all. */
export async function rejection(work: () => Promise<unknown>): Promise<HostError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof HostError) return error
    throw error
  }
  throw new Error('it did not reject')
}

/** The functions of the project on its log, all of it closed with the test. */
export function registered(
  t: Test,
  options: { project: Project } & Pick<RegistryOptions, 'log' | 'logger'>,
): { readonly registry: Registry; readonly catalog: LiveCatalog } {
  const { log } = options
  const registry = new Registry(registryOptions(options))
  const catalog = new LiveCatalog(registry, log)
  t.teardown(async () => {
    catalog[Symbol.dispose]()
    await registry[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
  })
  return { registry, catalog }
}
