// The check of what a definition says of copies of its table: how many, whether they come before its partitions, and what reads them.
import type { Replicas } from './description.js'
import { inWords, oneOf, type Report, whole } from './in-words.js'

const options = ['standby', 'recoverAhead', 'views'] as const
const views = ['routing', 'replicate'] as const satisfies Replicas['views'][]

export function replicasOf(
  given: Readonly<Record<string, unknown>>,
  hasTable: boolean,
  report: Report,
): Replicas {
  for (const option of options) {
    if (hasTable || given[option] === undefined) continue
    report(option, 'there is no table that could be copied: add table, or take it out')
  }
  const { standby = 0, recoverAhead = false } = given
  if (typeof recoverAhead !== 'boolean')
    report('recoverAhead', `true or false is needed, not ${inWords(recoverAhead)}`)
  return {
    standby: whole('standby', standby, 0, 100, report),
    recoverAhead: recoverAhead === true,
    views: oneOf('views', given.views, views, report),
  }
}
