// Deaths, lost tables and other owners in the middle of the work of a host under test.

interface Host {
  crash(options?: { readonly store?: 'kept' | 'lost' }): Promise<void>
  rebalance(options?: { readonly lost?: boolean }): Promise<void>
}

const parts = 8

/** Emits all, in eight parts, and while each of them is being handled one of four things happens. */
export async function throughTrouble<Item>(
  host: Host,
  items: readonly Item[],
  emit: (part: readonly Item[]) => Promise<unknown>,
): Promise<void> {
  const troubles = [
    () => host.crash(),
    () => host.rebalance({ lost: true }),
    () => host.crash({ store: 'lost' }),
    () => host.rebalance(),
  ]
  const size = Math.ceil(items.length / parts)
  for (let part = 0; part < parts; part += 1) {
    const emitted = emit(items.slice(part * size, (part + 1) * size))
    await troubles[part % troubles.length]?.()
    await emitted
  }
}
