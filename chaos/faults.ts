// Does what the schedule has, each at its time, or as soon as what befell the same instance before is over.
import { setTimeout as pause } from 'node:timers/promises'
import type { FunctionName } from './functions.js'
import type { Instance } from './instance.js'
import type { Done } from './progress.js'
import type { Fault, Kind, Target } from './schedule.js'
import { inWords } from './schedule.js'
import type { Stage } from './stage.js'

export interface FaultsOptions {
  readonly stage: Stage
  readonly nowMs: () => number
  readonly say: (what: string) => void
}

type Act = (stage: Stage, fault: Fault) => Promise<void>

const on =
  (act: (instance: Instance, fault: Fault) => Promise<void>): Act =>
  (stage, fault) =>
    act(stage.instance(fault.target), fault)

const down = (instance: Instance, how = ''): Promise<void> =>
  how.includes('killed') ? instance.killBoth() : instance.stop()

const acts: Record<Kind, Act> = {
  'kill host': on((instance) => instance.killHost()),
  'kill supervisor': on(async (instance, { lastsMs }) => {
    await instance.killSupervisor()
    await pause(lastsMs)
    await instance.start()
  }),
  restart: on(async (instance, { lastsMs }) => {
    await instance.stop()
    await pause(lastsMs)
    await instance.start()
  }),
  freeze: on((instance, { lastsMs }) => instance.freeze(lastsMs)),
  join: on(async (instance, { lastsMs, how }) => {
    if (how?.includes('with nothing') === true) instance.loseTables()
    await instance.start()
    await pause(lastsMs)
    await down(instance, how)
  }),
  swap: async (stage, { how }) => stage.save(how as FunctionName),
  'kill broker': async ({ broker }, { lastsMs }) => {
    await broker.kill()
    await pause(lastsMs)
    await broker.restart()
  },
  cut: on(async ({ way }, { lastsMs, how }) => {
    way.close(how === 'silent' ? 'silent' : 'cut')
    await pause(lastsMs)
    way.heal()
  }),
  unplug: on((instance, { lastsMs }) => instance.unplug(lastsMs)),
  slow: on(async ({ way }, { lastsMs, how }) => {
    way.delay(Number(how))
    await pause(lastsMs)
    way.heal()
  }),
  'rebalance in recovery': async (stage, { target, other = target, lastsMs }) => {
    const [first, second] = [stage.instance(target), stage.instance(other)]
    await first.killBoth()
    first.loseTables()
    await first.start()
    await pause(lastsMs)
    await second.stop()
    second.loseTables()
    await second.start()
  },
  'lose store': on(async (instance, { lastsMs, how }) => {
    await down(instance, how)
    instance.loseTables()
    await pause(lastsMs)
    await instance.start()
  }),
  'damage store': on(async (instance, { lastsMs, how, place = 0 }) => {
    await down(instance, how)
    instance.damageTables(how?.includes('manifest') === true ? 'manifest' : 'bytes', place)
    await pause(lastsMs)
    await instance.start()
  }),
  'fill disk': on(async ({ disk }, { lastsMs }) => {
    disk?.fill()
    await pause(lastsMs)
    disk?.free()
  }),
}

/** Resolves when all of them are over, with when each began. */
export async function play(
  faults: readonly Fault[],
  { stage, nowMs, say }: FaultsOptions,
): Promise<Done[]> {
  const done: Done[] = []
  /** By whom it befalls, when that is over. A way is its instance's: what is slow may not be cut meanwhile. */
  const busy = new Map<Target, Promise<void>>()
  const all = faults.map(async (fault) => {
    const targets: Target[] = [fault.target, ...(fault.other === undefined ? [] : [fault.other])]
    const before = Promise.all(targets.map(async (target) => await busy.get(target)))
    const acting = (async () => {
      await pause(Math.max(0, fault.atMs - nowMs()))
      await before
      const beganMs = nowMs()
      say(`${inWords(fault)}${lateness(fault, beganMs)}`)
      done.push({ kind: fault.kind, beganMs })
      await acts[fault.kind](stage, fault)
    })()
    for (const target of targets) busy.set(target, acting)
    await acting
  })
  await Promise.all(all)
  return done
}

function lateness({ atMs }: Fault, beganMs: number): string {
  const lateMs = Math.round(beganMs - atMs)
  return lateMs > 500 ? `, ${(lateMs / 1000).toFixed(1)} s late: it was busy` : ''
}
