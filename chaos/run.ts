// One run: sets the stage, lets the faults loose on it under load, waits until all is calm, and asks the oracle.
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scope } from '../test/support/scope.js'
import { Account } from './account.js'
import { consumed } from './consumed.js'
import { Emitter } from './emitter.js'
import { play } from './faults.js'
import type { Delivery } from './functions.js'
import { differences, type Evidence } from './oracle.js'
import { Probes } from './probes.js'
import { type Done, Progress } from './progress.js'
import type { Outcome } from './report.js'
import { type Kind, members, schedule, seconds, shown } from './schedule.js'
import { joinedNewest, settled, unreflected, views } from './settling.js'
import { Stage } from './stage.js'
import { follow } from './tail.js'

export interface RunOptions {
  readonly minutes: number
  readonly seed: number
  readonly delivery: Delivery
  readonly without: readonly Kind[]
  /** For the instances, where this machine has them. */
  readonly namespaces: boolean
  /** For everything; there is a log of each instance. */
  readonly folder: string
  readonly say: (what: string) => void
  /** Shown in the place of what was shown so before. */
  readonly show: (what: string) => void
}

const shownEachMs = 1_000
const minuteMs = 60_000

export async function run(scope: Scope, options: RunOptions): Promise<Outcome> {
  const { minutes, seed, delivery, namespaces, folder, say } = options
  const findings: string[] = []
  const wrong = (what: string) => {
    findings.push(what)
    say(`WRONG: ${what}`)
  }
  const fetching = () => say('Fetching Apache Kafka by Maven, once …')
  const stage = await Stage.set(scope, { folder, delivery, namespaces, wrong, fetching })
  const without = new Set(options.without)
  if (!stage.hasSmallDisk) without.add('fill disk')
  if (!stage.hasLinks) without.add('unplug')
  const network = stage.hasLinks
    ? 'each instance in a network namespace of its own'
    : 'all instances on the loopback interface, each with a proxy to the broker'
  say(network)
  const faults = schedule({ seed, forMs: minutes * minuteMs, without })
  const lines = faults.map(shown)
  writeFileSync(join(folder, 'logs', 'schedule'), `seed ${seed}\n${lines.join('\n')}\n`)
  say(`${faults.length} faults in ${minutes} min, by the seed ${seed}:\n${lines.join('\n')}`)

  const own = members.map((name) => stage.instance(name))
  await Promise.all(own.map((instance) => instance.start()))
  await settled(own)
  const account = new Account()
  const progress = new Progress()
  const beganAt = performance.now()
  const nowMs = () => performance.now() - beganAt
  const log = (what: string) => {
    const line = `${seconds(nowMs())}  ${what}`
    appendFileSync(join(folder, 'logs', 'done'), `${line}\n`)
    say(line)
  }
  const shared = { account, instances: stage.instances, seed, wrong }
  const emitter = new Emitter(shared)
  const probes = new Probes(shared)
  const ticking = setInterval(() => {
    const left = Math.max(0, Math.round((minutes * minuteMs - nowMs()) / 1000))
    options.show(
      `${left} s left, ${account.count('acknowledged')} events, ${probes.reads.length} reads, ${findings.length} findings`,
    )
  }, shownEachMs)
  scope.teardown(() => clearInterval(ticking))
  let done: readonly Done[] = []
  {
    await using _tail = follow({
      env: stage.env,
      topic: `${stage.namespace}totals`,
      progress,
      nowMs,
    })
    done = await play(faults, { stage, nowMs, say: log })
    await untilMs(minutes * minuteMs, nowMs)
    await emitter.stop()
    await probes.stop()
  }
  clearInterval(ticking)
  const tokens = tokensOf(account)
  const evidence = await examined({ stage, account, emitter, probes, delivery, tokens, wrong, say })
  if (evidence !== undefined) findings.push(...differences(evidence))
  return {
    seed,
    minutes,
    delivery,
    network,
    account,
    done,
    gaps: progress.gaps,
    rebalances: stage.rebalances.size,
    reads: probes.reads.length,
    plainReads: probes.plainReads,
    unanswered: probes.unanswered,
    tokens: [...tokens.values()].flat().length,
    findings,
  }
}

interface Examined {
  readonly stage: Stage
  readonly account: Account
  readonly emitter: Emitter
  readonly probes: Probes
  readonly delivery: Delivery
  readonly tokens: ReadonlyMap<string, readonly string[]>
  readonly wrong: (what: string) => void
  readonly say: (what: string) => void
}

/** When all is calm. Undefined: it did not become so, which is a finding. */
async function examined(options: Examined): Promise<Evidence | undefined> {
  const { stage, account, emitter, probes, delivery, tokens, wrong, say } = options
  const own = members.map((name) => stage.instance(name))
  try {
    say('waiting until nothing is left to be done …')
    await settled(own)
    await joinedNewest(own, emitter)
    await settled(own)
    say('comparing …')
    for (const what of await unreflected(own, tokens)) wrong(what)
    const found = await views(own)
    for (const instance of own) await instance.stop()
    const { streams, changelogs } = await consumed(stage.broker.address, stage.namespace)
    return { delivery, account, streams, changelogs, views: found, reads: probes.reads }
  } catch (error) {
    wrong(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

/** By key. */
function tokensOf(account: Account): Map<string, string[]> {
  const tokens = new Map<string, string[]>()
  for (const { key, token } of account.events.values()) {
    if (token === undefined) continue
    const list = tokens.get(key)
    if (list === undefined) tokens.set(key, [token])
    else list.push(token)
  }
  return tokens
}

async function untilMs(atMs: number, nowMs: () => number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - nowMs())))
}
