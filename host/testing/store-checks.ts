// What every store has to do, for tests with any runner.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../sdk/store.js'
import { openOwnStore } from '../tables/own.js'
import type { TableStoreCheck } from './store-checks/helpers.js'
import { lifeChecks } from './store-checks/lives.js'
import { rangeChecks } from './store-checks/ranges.js'
import { writeChecks } from './store-checks/writes.js'

/** Those that the host's own stores pass, too. */
export const tableStoreChecks: readonly TableStoreCheck[] = [
  ...writeChecks,
  ...rangeChecks,
  ...lifeChecks,
]

/** One thing that a store has to do. */
export interface StoreCheck {
  readonly title: string
  /** In an empty folder, which is removed afterwards. Rejects with what is wrong. */
  run(): Promise<void>
}

export interface StoreCheckOptions {
  /** The store begins empty at each opening: the table is rebuilt from the log each time. Default: false. */
  readonly isForgetful?: boolean
}

/**
 * What a store has to do so that a function may keep its table in it, as the host uses it. What cannot be checked in one process is left: that all or
 * nothing of a write is there when the process dies in it.
 *
 * @example
 * for (const { title, run } of storeChecks(inFiles)) test(title, run)
 */
export function storeChecks(
  store: Store,
  { isForgetful = false }: StoreCheckOptions = {},
): readonly StoreCheck[] {
  return tableStoreChecks.map(({ title, run }) => ({
    title,
    run: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
      try {
        const open = () => openOwnStore(store, { function: 'checked', folder })
        await using opened = await open()
        await run(opened, { open, isForgetful })
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }))
}
