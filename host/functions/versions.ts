// The versions of one function: the one that runs, and the code of a few before it, so that what they did can still be shown.
import type { PlainError } from '../errors.js'
import type { Edges } from '../processor/program.js'
import type { ShownError } from './catalog.js'
import type { Bundle, FunctionDescription } from './description.js'
import { showError } from './failure.js'
import type { RecordPlace, Version } from './messages.js'
import { mapStack } from './stack.js'

export interface Deployed {
  readonly bundle: Bundle
  readonly description: FunctionDescription
  readonly edges: Edges
}

// Enough to map the stack of an attempt that began before a few quick saves.
const keptBundles = 8

export class Versions {
  readonly #bundles: Bundle[] = []
  running: Deployed

  constructor(running: Deployed) {
    this.running = running
    this.remember(running.bundle)
  }

  /** Before it runs: it may fail in its turn at once. */
  remember(bundle: Bundle): void {
    this.#bundles.unshift(bundle)
    this.#bundles.length = Math.min(this.#bundles.length, keptBundles)
  }

  /** The same code with another source map. */
  remap(bundle: Bundle): void {
    this.running = { ...this.running, bundle }
    const known = this.#bundles.findIndex(({ version }) => version === bundle.version)
    if (known !== -1) this.#bundles[known] = bundle
  }

  /** Of user code, with its places in the files as they were written. */
  mapped(stack: string): string {
    return mapStack(stack, (version) => this.#bundles.find((bundle) => bundle.version === version))
      .stack
  }

  /** What went wrong at a record, in the code that handled it. */
  show(error: PlainError, place: RecordPlace): ShownError {
    const bundle = this.#bundles.find(({ version }) => version === place.version)
    return showError(error, bundle, place)
  }
}

/** As its thread is told. */
export function toVersion({ bundle, description, edges }: Deployed): Version {
  const { name, file, version, code } = bundle
  return { bundle: { name, file, version, code }, edges, options: description.options }
}
