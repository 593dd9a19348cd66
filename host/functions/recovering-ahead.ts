// Before a function joins its group: copies of all that it may be given are brought up first.
import type { Progress } from '../processor/progress.js'
import type { Condition } from './condition.js'

export interface RecoveringAheadOptions {
  readonly condition: Condition
  /** Tells each change of the condition. */
  readonly progress: Pick<Progress, 'onChange'>
  /** Of the function. */
  readonly partitions: number
  /** Starts its thread, which copies all of them. */
  launch(): Promise<void>
  isStopped(): boolean
}

/** Resolves when all of them are here, or the function is stopped. */
export async function recoverAhead(options: RecoveringAheadOptions): Promise<void> {
  const { condition, progress, partitions, launch, isStopped } = options
  condition.enter('ahead')
  await launch()
  while (!isStopped()) {
    let changed = () => {}
    const change = new Promise<void>((resolve) => {
      changed = resolve
    })
    // Before the look: a change between the two would be missed.
    const takeBack = progress.onChange(changed)
    const isThere = condition.warm.length === partitions
    if (!isThere && !isStopped()) await change
    takeBack()
    if (isThere) return
  }
}
