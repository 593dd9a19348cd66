// How near a host's copies of a table are to its end, as a claim tells it: in few bytes, and coarse enough to be compared.
import type { TableLack } from '../log.js'

export interface Nearness {
  /** At their end or nearly so. */
  readonly warm: readonly number[]
  /** Copies that lack more: each list what lacks up to four times as much as the one before. */
  readonly behind: readonly (readonly number[])[]
}

const [step, mostSteps] = [4, 8]

/** `warm`: those that are followed, whatever they lack. `acceptableLag`: in records, as in the settings. */
export function nearnessOf(
  warm: readonly number[],
  lacks: readonly TableLack[],
  acceptableLag: number,
): Nearness {
  const near = new Set(warm)
  const behind: number[][] = []
  lacks.forEach(({ behind: lag }, partition) => {
    if (lag === undefined || near.has(partition)) return
    if (lag <= acceptableLag) near.add(partition)
    else {
      const steps = Math.floor(Math.log(lag / Math.max(acceptableLag, 1)) / Math.log(step))
      const at = Math.min(Math.max(steps, 0), mostSteps - 1)
      while (behind.length <= at) behind.push([])
      behind[at]?.push(partition)
    }
  })
  return { warm: [...near].sort((a, b) => a - b), behind }
}

/** 0 of what is warm, more of what lacks more; absent: there is no copy. */
export function ranksOf({ warm, behind }: Nearness): ReadonlyMap<number, number> {
  const ranks = new Map<number, number>()
  for (const [at, partitions] of [warm, ...behind].entries()) {
    for (const partition of partitions) if (!ranks.has(partition)) ranks.set(partition, at)
  }
  return ranks
}
