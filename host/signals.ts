// Signals that end the process: the first asks for an orderly end, a second one ends it at once.
import { constants } from 'node:os'

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

/** A terminal sends Ctrl-C to npm and to what npm runs, and npm hands its own on: within this time it is one signal, not two. */
const oneInterruptMs = 500

export function onStopSignals(
  signals: readonly StopSignal[],
  received: { first(signal: StopSignal): void; second(signal: StopSignal): void },
): void {
  let first: { readonly signal: StopSignal; readonly at: number } | undefined
  for (const signal of signals) {
    process.on(signal, () => {
      if (first === undefined) {
        first = { signal, at: performance.now() }
        received.first(signal)
        return
      }
      const isSame = signal === 'SIGINT' && first.signal === 'SIGINT'
      if (isSame && performance.now() - first.at < oneInterruptMs) return
      received.second(signal)
    })
  }
}

/** As shells have it: 130 for SIGINT, 143 for SIGTERM. */
export const signalExitCode = (signal: NodeJS.Signals): number => 128 + constants.signals[signal]
