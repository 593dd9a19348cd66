// Waits until nothing is left to be done, and reads what the hosts have by then.
import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../test/support/until.js'
import type { Answer } from './client.js'
import type { Emitter } from './emitter.js'
import {
  type Counted,
  functionNames,
  type Limit,
  loopKeys,
  type Summed,
  sumKey,
} from './functions.js'
import type { Instance } from './instance.js'
import { allKeys } from './keys.js'
import type { Tables } from './oracle.js'
import { partitions } from './settings.js'

type Asked = Pick<Instance, 'ask'>

interface Status {
  readonly name: string
  readonly state: string
  readonly lag: number | null
  readonly error: unknown
  readonly waitingFor: readonly string[]
  readonly partitions: readonly { readonly state: string }[]
}

async function statuses(instance: Instance): Promise<readonly Status[]> {
  const { status, body } = await instance.ask('/functions')
  return status === 200 ? Object(body).functions : []
}

/** Every function runs everywhere, has all partitions between them, and nothing left to read. */
export async function settled(instances: readonly Instance[]): Promise<void> {
  let last: unknown
  const isSettled = async () => {
    // Asked without a pause it would cost the hosts more than what they are to do.
    await pause(100)
    const all = await Promise.all(instances.map(statuses))
    last = all.map((list, n) => [instances[n]?.name, list.map(short)])
    return functionNames.every((name) => {
      const own = all.map((list) => list.find((one) => one.name === name))
      const isRunning = own.every(
        (one) => one?.state === 'running' && one.error === null && one.lag === 0,
      )
      const open = own
        .flatMap((one) => one?.partitions ?? [])
        .filter(({ state }) => state === 'running')
      return isRunning && open.length === partitions
    })
  }
  const what = 'every function runs at every host and has nothing left to do'
  // What one has put out meanwhile is in the second look.
  await until(
    what,
    async () => (await isSettled()) && (await isSettled()),
    () => JSON.stringify(last),
  )
}

const short = ({ name, state, lag, error, waitingFor, partitions }: Status) => ({
  name,
  state,
  lag,
  error,
  waitingFor,
  partitions: partitions.length,
})

/** Whoever of them has the key. */
async function anyOf(instances: readonly Asked[], path: string): Promise<Answer> {
  let last: Answer | undefined
  for (const instance of instances) {
    last = await instance.ask(path)
    if (last.status === 200 || last.code === 'KEY_NOT_FOUND') return last
  }
  throw new Error(`GET ${path}: no host answers, the last one ${last?.status} ${last?.message}`)
}

/** Waits until an event of each key has joined the newest version, which is set here. Then it has reflected all events of the key. */
export async function joinedNewest(
  instances: readonly Instance[],
  emitter: Emitter,
): Promise<void> {
  const join = async (key: string): Promise<void> => {
    const version = await emitter.set(key)
    let n = 0
    await until(`${key} has joined ${version}`, async () => {
      n += 1
      const token = await emitter.more(key, `last-${key}-${n}`)
      const path = `/views/count/${key}`
      const { body } = await anyOf(
        await ownersFirst(instances, path),
        `${path}?${waiting([token])}`,
      )
      return Object(body).limit === version
    })
  }
  await Promise.all(allKeys.map(join))
}

/** Those that answer for it, before those that would have to wait for it in vain. */
async function ownersFirst(instances: readonly Asked[], path: string): Promise<readonly Asked[]> {
  const answers = await Promise.all(instances.map((instance) => instance.ask(path)))
  const isOwner = (n: number) => answers[n]?.status === 200 || answers[n]?.code === 'KEY_NOT_FOUND'
  return [...instances.filter((_, n) => isOwner(n)), ...instances.filter((_, n) => !isOwner(n))]
}

const waiting = (tokens: readonly string[]): string =>
  ['timeoutMs=5000', ...tokens.map((token) => `after=${token}`)].join('&')

export async function views(instances: readonly Instance[]): Promise<Tables> {
  const loops = Array.from({ length: loopKeys }, (_, n) => `ten-${n}`)
  const read = async <Value>(table: string, keys: readonly string[]) => {
    const found = new Map<string, Value>()
    for (const key of keys) {
      const { status, body } = await anyOf(instances, `/views/${table}/${key}`)
      if (status === 200) found.set(key, body as Value)
    }
    return found
  }
  return {
    count: await read<Counted>('count', [...allKeys, ...loops]),
    sum: await read<Summed>('sum', allKeys.map(sumKey)),
    limits: await read<Limit>('limits', allKeys),
  }
}

const tokensAsked = 40

/**
 * Tokens that the tables do not reflect, now that all is handled: all of them at the first table, and the newest of each key, behind which
 * all others are, over the hop.
 */
export async function unreflected(
  instances: readonly Asked[],
  tokens: ReadonlyMap<string, readonly string[]>,
): Promise<string[]> {
  const wrong: string[] = []
  const look = async (asked: readonly Asked[], path: string, what: string) => {
    const { status, code } = await anyOf(asked, path).catch((error: unknown) => ({
      status: 0,
      code: String(error),
    }))
    if (status !== 200) wrong.push(`tokens of ${what}: ${status} ${code}`)
  }
  for (const [key, all] of tokens) {
    const path = `/views/count/${key}`
    const owners = await ownersFirst(instances, path)
    for (let at = 0; at < all.length; at += tokensAsked) {
      const after = all.slice(at, at + tokensAsked)
      await look(owners, `${path}?${waiting(after)}`, `${key}, ${at} to ${at + after.length}`)
    }
    const newest = waiting(all.slice(-tokensAsked))
    await look(instances, `/views/sum/${sumKey(key)}?${newest}`, `${key} in sum, the newest`)
  }
  return wrong
}
