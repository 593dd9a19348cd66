// A table's codec that also takes what an earlier version stored, by way of the definition's `migrate`.
import type { Codec, CodecKind } from '../../sdk/codec.js'
import { toPlainError } from '../errors.js'
import { type Snapshot, type ValueCodec, valueCodec } from './value.js'

type MarkedCodec = Codec<unknown> & { readonly kind?: CodecKind }

/** The part of a definition that says how the table's values are stored. */
export interface TableDefinition {
  readonly table: MarkedCodec
  readonly migrate?: { readonly from: MarkedCodec; readonly to: (stored: unknown) => unknown }
}

export interface TableCodec extends ValueCodec {
  /** What is stored, as the table's own codec would have stored it. Throws if neither that nor `migrate` takes it. */
  current(stored: Snapshot): Snapshot
}

export function tableCodec({ table, migrate }: TableDefinition): TableCodec {
  const codec = valueCodec(table)
  if (migrate === undefined) return { ...codec, current: (stored) => stored }
  const { to } = migrate
  const from = valueCodec(migrate.from)

  const convert = (stored: Snapshot, refusal: unknown): Snapshot => {
    let old: unknown
    try {
      old = from.revive(stored)
    } catch (cause) {
      throw new TypeError(
        `neither the table's codec takes it (${messageOf(refusal)}), nor the one of migrate.from (${messageOf(cause)})`,
        { cause },
      )
    }
    const value = to(old)
    if (value instanceof Promise) {
      // Nobody waits for it: its rejection must not end the thread.
      value.catch(() => {})
      throw new TypeError(
        'migrate.to returned a promise: a value that is read cannot be waited for',
      )
    }
    try {
      return codec.snapshot(value)
    } catch (cause) {
      throw new TypeError(
        `the table's codec does not take what migrate.to made of it: ${messageOf(cause)}`,
        { cause },
      )
    }
  }

  return {
    isText: codec.isText,
    snapshot: (value) => codec.snapshot(value),
    revive(stored) {
      try {
        return codec.revive(stored)
      } catch (refusal) {
        return codec.revive(convert(stored, refusal))
      }
    },
    current(stored) {
      try {
        codec.revive(stored)
        return stored
      } catch (refusal) {
        return convert(stored, refusal)
      }
    },
  }
}

const messageOf = (error: unknown): string => toPlainError(error).message
