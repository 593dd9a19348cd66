// The checks of a store, as tests of this repository: those that users have for stores of their own.
import type { Test } from 'tap'
import type { StoreHome } from '#host/testing/store-checks/helpers.js'
import { tableStoreChecks } from '#host/testing/store-checks.js'

export { all, metaAt, numbers, put, shown } from '#host/testing/store-checks/helpers.js'

export function storeConformance(t: Test, name: string, home: (t: Test) => StoreHome): void {
  for (const { title, run } of tableStoreChecks) {
    void t.test(`${name}: ${title}`, async (t) => {
      const here = home(t)
      await using store = await here.open()
      await run(store, here)
      t.pass()
    })
  }
}
