// Works on several things at once: when one fails the others end, and only then is it told.

/** Each is handed a signal that is aborted with the given one, and when another has failed. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const left = items.values()
  const workers = Array.from({ length: Math.min(width, items.length) }, async () => {
    for (const item of left) await work(item, either)
  })
  const watched = workers.map((worker) =>
    worker.catch((thrown: unknown) => {
      failed.abort(thrown)
      throw thrown
    }),
  )
  await Promise.allSettled(watched)
  either.throwIfAborted()
}
