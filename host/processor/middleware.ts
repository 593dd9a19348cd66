// What goes around every handler of a function.
import { HostError } from '../errors.js'
import type { Handler } from './program.js'

/** A method's parameters are bivariant: middleware of any function is middleware to the host. */
export type Middleware = { wrap(next: Handler): Handler }['wrap']

/** Of several, the first is the outermost. User code: it may throw. */
export function wrapped(
  handler: Handler,
  wrap: Middleware | readonly Middleware[] | undefined,
): Handler {
  if (wrap === undefined) return handler
  const all: readonly Middleware[] = typeof wrap === 'function' ? [wrap] : wrap
  return all.reduceRight((next, each) => {
    const made: unknown = each(next)
    if (typeof made === 'function') return made as Handler
    throw new HostError(
      'BAD_DEFINITION',
      `wrap: ${each.name || 'middleware'} gave no function for a handler, but ${typeof made}: return (ctx, value) => next(ctx, value)`,
    )
  }, handler)
}
