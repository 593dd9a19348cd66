// The entries of a table in key order, page by page: from here, or merged with what other instances have.
import { atOwners } from '../cluster/at-owners.js'
import { remoteRange } from '../cluster/remote-range.js'
import type { TableEntry } from '../functions/catalog.js'
import type { Entry } from '../tables/store.js'
import { mergeRanges, type ViewRange } from '../tables/view.js'
import type { ClusteredDeps } from './deps.js'
import { routedMs } from './key-read.js'
import { notServing, partitionsOf, refuseMoved, refuseStale } from './serving.js'
import type { Wait } from './waiting.js'

export interface Pages {
  readonly pages: AsyncIterable<Entry[]>
  /** Before each page goes out: throws when what was read here may be old by now. What others have sent they have looked at. */
  check(): void
  /** Some of it is not from who has it. */
  readonly isStale: boolean
}

export interface PagesAsked {
  readonly range: ViewRange
  /** No more than so many entries are wanted. */
  readonly limit: number
  readonly isStaleOk: boolean
  /** As in `Asking`. */
  readonly isFromOwners: boolean
}

/** Of the partitions that this host has. Throws RECOVERING. */
export function pagesHere(
  table: TableEntry,
  { range, isStaleOk }: Pick<PagesAsked, 'range' | 'isStaleOk'>,
  partitions: readonly number[] = partitionsOf(table),
): Pages {
  const check = (refuse: typeof refuseMoved) => {
    if (!isStaleOk) for (const partition of partitions) refuse(table, partition)
  }
  check(refuseStale)
  const pages = table.view.range({ ...range, partitions })
  return { pages, check: () => check(refuseMoved), isStale: false }
}

/** Has begun everywhere when it resolves, so that whoever asks is not answered before all have said that they will. */
export async function pagesAnywhere(
  deps: ClusteredDeps,
  { range, limit, isStaleOk, isFromOwners }: PagesAsked,
  { wait, table }: { readonly wait: Wait; table(): TableEntry },
): Promise<Pages> {
  const { cluster } = deps
  const { name, function: keeper } = table()
  const begun: Pages[] = []
  const keep = async (found: Pages) => {
    const pages = await begin(found.pages)
    try {
      found.check()
    } catch (error) {
      await close(pages)
      throw error
    }
    begun.push({ ...found, pages })
  }
  const here = async (current: TableEntry, partitions: readonly number[]) =>
    await keep(pagesHere(current, { range, isStaleOk }, partitions))
  try {
    await atOwners<void>(
      {
        ...deps,
        function: keeper,
        isFromOwners,
        withinMs: routedMs(cluster),
        table,
        wait: (promise) => wait.for(promise),
      },
      partitionsOf(table()),
      {
        here,
        async there(owner, partitions) {
          const asked = { ...range, table: name, partitions, limit, isStaleOk }
          const pages = await remoteRange(cluster.client, owner, asked, cluster.timeoutMs)
          await keep({ pages, check: () => {}, isStale: false })
        },
        nowhere: notServing,
        ...(isStaleOk
          ? {
              async leftovers(current, partitions) {
                await keep({
                  ...pagesHere(current, { range, isStaleOk }, partitions),
                  isStale: true,
                })
              },
            }
          : {}),
      },
    )
  } catch (error) {
    await Promise.all(begun.map(({ pages }) => close(pages)))
    throw error
  }
  return {
    pages: mergeRanges(begun.map(({ pages }) => pages)),
    check: () => {
      for (const one of begun) one.check()
    },
    isStale: begun.some((one) => one.isStale),
  }
}

const close = async (pages: AsyncIterable<Entry[]>): Promise<void> => {
  await pages[Symbol.asyncIterator]().return?.()
}

/** With its first page read: what it has to say against it is said now. */
export async function begin(pages: AsyncIterable<Entry[]>): Promise<AsyncIterable<Entry[]>> {
  const rest = pages[Symbol.asyncIterator]()
  let first: IteratorResult<Entry[]> | undefined = await rest.next()
  const end: IteratorResult<Entry[], undefined> = { done: true, value: undefined }
  const made: AsyncIterableIterator<Entry[]> = {
    async next() {
      const next = first ?? (await rest.next())
      first = undefined
      return next
    },
    async return() {
      await rest.return?.()
      return end
    },
    [Symbol.asyncIterator]: () => made,
  }
  return made
}
