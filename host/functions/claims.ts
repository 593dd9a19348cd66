// What each function says of groups, topics and hashers: no two may say what cannot both be.
import { HostError } from '../errors.js'
import type { FunctionDescription } from './description.js'
import { streamConflict } from './placement.js'

/** The description counts until it is given up, and the one before it until this one is kept. */
export interface Claim {
  keep(): void
  withdraw(): void
}

export class Claims {
  readonly #claims = new Map<string, readonly FunctionDescription[]>()
  readonly #released: () => void

  /** `released`: something that was refused for another may be taken now. */
  constructor(released: () => void = () => {}) {
    this.#released = released
  }

  /** Throws FUNCTION_CONFLICT. While a function goes over to another description, both count. */
  claim(description: FunctionDescription): Claim {
    const { name } = description
    const others = [...this.#claims].flatMap(([key, claimed]) => (key === name ? [] : claimed))
    for (const other of others) refuseConflict(description, other)
    this.#set(name, [...this.#of(name), description])
    return {
      keep: () => this.#reduce(name, (claimed) => claimed === description),
      withdraw: () => this.#reduce(name, (claimed) => claimed !== description),
    }
  }

  release(name: string): void {
    this.#reduce(name, () => false)
  }

  #reduce(name: string, stays: (claimed: FunctionDescription) => boolean): void {
    const before = this.#of(name)
    const after = before.filter(stays)
    if (after.length === before.length) return
    this.#set(name, after)
    this.#released()
  }

  #of(name: string): readonly FunctionDescription[] {
    return this.#claims.get(name) ?? []
  }

  #set(name: string, claimed: readonly FunctionDescription[]): void {
    if (claimed.length === 0) this.#claims.delete(name)
    else this.#claims.set(name, claimed)
  }
}

/** Throws FUNCTION_CONFLICT, on the first of the two. */
export function refuseConflict(one: FunctionDescription, other: FunctionDescription): void {
  const problem = conflictOf(one, other)
  if (problem === undefined) return
  throw new HostError(
    'FUNCTION_CONFLICT',
    `${one.name} cannot run beside ${other.name}: ${problem}`,
    { function: one.name, details: { functions: [one.name, other.name] } },
  )
}

function conflictOf(one: FunctionDescription, other: FunctionDescription): string | undefined {
  // On some disks their stores would be one folder.
  if (one.group.toLowerCase() === other.group.toLowerCase()) {
    const both =
      one.group === other.group
        ? `the group ${one.group}`
        : `the groups ${one.group} and ${other.group}, which differ in case alone`
    return `they have ${both}, and a group is one function's: give one of them another`
  }
  // A view only reads.
  const own = ({ kind, table, loop }: FunctionDescription) =>
    kind === 'view' ? [] : [table, loop].flatMap((edge) => edge?.topic ?? [])
  const shared = own(one).find((topic) => own(other).includes(topic))
  if (shared !== undefined) {
    return `${shared} is the topic of a table or loop of both, and such a topic is one function's: give one of them another`
  }
  for (const edge of streamsOf(one)) {
    for (const also of streamsOf(other)) {
      const problem = streamConflict(edge, also, [`in ${one.name}`, `in ${other.name}`])
      if (problem !== undefined) return problem
    }
  }
  return misreadTable(one, other) ?? misreadTable(other, one)
}

/** A table that is named by its function lies where that has it. */
function misreadTable(
  reader: FunctionDescription,
  { kind, name, table }: FunctionDescription,
): string | undefined {
  const read = [...reader.joins, ...reader.lookups].find(
    ({ stream, isByTopic = false }) => stream === name && !isByTopic,
  )
  if (read === undefined) return undefined
  if (table === null) return `${reader.name} reads the table of ${name}, which has none`
  if (kind === 'view') {
    return `${reader.name} reads ${name}, which is a view: what that stores is on each host only, and nobody can follow it. Read what it is made of, by topicTable('${table.topic}', codec, { hasher: '${table.hasher}' }), or have a function keep the table`
  }
  if (table.topic === read.topic && table.hasher === read.hasher) return undefined
  return `${reader.name} reads the table of ${name} in ${read.topic} (${read.hasher}), and it is ${table.topic} (${table.hasher}): name it by topicTable('${table.topic}', codec, { hasher: '${table.hasher}' })`
}

/** What a view reads is a table to it, and may be a stream to others. */
const streamsOf = ({ kind, inputs, outputs }: FunctionDescription) =>
  kind === 'view' ? [] : [...inputs, ...outputs]
