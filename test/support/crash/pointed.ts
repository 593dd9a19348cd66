// Puts points around a port: before each step, while it is under way, and after it.
import type { Failpoints } from './failpoints.js'

export interface Steps {
  /** The step that a call of this method is; undefined: none. */
  name(method: string, args: readonly unknown[]): string | undefined
  /** What takes the place of what the call resolved with. */
  wrap?(method: string, result: unknown): unknown
}

/** Behaves as `port`, and passes the points `name:before`, `name:during` and `name:after` of each step. */
export function pointed<Port extends object>(
  port: Port,
  points: Failpoints,
  { name, wrap = (_, result) => result }: Steps,
): Port {
  return new Proxy(port, {
    get(of, property) {
      const value: unknown = Reflect.get(of, property, of)
      if (typeof value !== 'function') return value
      const method = String(property)
      return (...args: unknown[]): unknown => {
        const call = (): unknown => Reflect.apply(value, of, args)
        const step = name(method, args)
        if (step === undefined) return wrap(method, call())
        points.pass(`${step}:before`)
        const result = call()
        if (!(result instanceof Promise)) {
          points.pass(`${step}:after`)
          return wrap(method, result)
        }
        points.pass(`${step}:during`)
        return result.then((settled: unknown) => {
          points.pass(`${step}:after`)
          return wrap(method, settled)
        })
      }
    },
  })
}
