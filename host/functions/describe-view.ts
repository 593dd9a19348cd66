// The check of a view's definition, and its description: a function whose table others write.
import type { CodecKind } from '../../sdk/codec.js'
import type { ViewDefinition } from '../../sdk/view.js'
import { type FunctionDescription, noReplicas } from './description.js'
import { inWords, oneOf, type Report, unknownFields } from './in-words.js'
import { viewStoreOf } from './names.js'
import { hashers, nameIn } from './placement.js'
import type { StoreKind } from './store-kind.js'

export interface DescribeViewOptions {
  readonly name: string
  readonly namespace: string
  readonly revision: string | undefined
  readonly store: StoreKind
  kindOf(where: string, codec: unknown): CodecKind
  readonly report: Report
}

const fields = [
  'table',
  'codec',
  'stored',
  'update',
  'store',
  'hasher',
  'revision',
] as const satisfies (keyof ViewDefinition)[]

export function describeView(
  given: Readonly<Record<string, unknown>>,
  { name, namespace, revision, store, kindOf, report }: DescribeViewOptions,
): FunctionDescription {
  unknownFields('', given, fields, report)
  const topic = nameIn('table', given.table, 249, report) ?? name
  const hasher = oneOf('hasher', given.hasher, hashers, report)
  const { update, stored } = given
  const codec = kindOf('codec', given.codec)
  const isUpdating = typeof update === 'function'
  if (isUpdating && update.constructor.name === 'AsyncFunction')
    report('update', 'it has to be synchronous: what is stored cannot wait for it')
  if (update !== undefined && !isUpdating)
    report('update', `a function is needed, not ${inWords(update)}`)
  if (stored !== undefined && update === undefined)
    report('stored', 'without update it is the topic’s own values that are stored: add update')
  const edge = { topic, hasher }
  return {
    kind: 'view',
    name,
    group: viewStoreOf(name, namespace, revision),
    hasher,
    keys: null,
    inputs: [{ stream: topic, ...edge, codec }],
    outputs: [],
    table: {
      stream: name,
      ...edge,
      codec: stored === undefined ? codec : kindOf('stored', stored),
    },
    loop: null,
    store,
    visitors: [],
    joins: [],
    lookups: [],
    replicas: noReplicas,
    options: {
      onError: 'halt',
      retry: { attempts: 1, backoffMs: 0 },
      onDataLoss: 'continue',
      tombstones: 'process',
      concurrency: 1,
      delivery: 'exactly-once',
    },
  }
}
