// Shows how much has been sent: a bar on a terminal, nothing where nobody watches.
import { Presets, SingleBar } from 'cli-progress'

export interface Progress extends Disposable {
  add(count: number): void
}

export function showProgress(total: number): Progress {
  if (!process.stderr.isTTY) return { add() {}, [Symbol.dispose]() {} }
  const bar = new SingleBar(
    { format: 'sending {bar} {value}/{total} flights' },
    Presets.shades_classic,
  )
  bar.start(total, 0)
  return { add: (count) => bar.increment(count), [Symbol.dispose]: () => bar.stop() }
}
