// The next change of anything about a function, to be waited for.
import type { Catalog } from '../functions/catalog.js'

export interface NextChange extends Disposable {
  readonly happened: Promise<void>
}

/** Called before the check: a change between the two would be missed. */
export function nextChange(catalog: Pick<Catalog, 'onChange'>, name: string): NextChange {
  let takeBack = () => {}
  const happened = new Promise<void>((resolve) => {
    takeBack = catalog.onChange(name, resolve)
  })
  return { happened, [Symbol.dispose]: () => takeBack() }
}
