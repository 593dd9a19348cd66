// Runs a piece of a test on a clock of its own: its timers take no time, and it goes the same way however busy the machine is.
import { VirtualClock } from '#host/testing/clock.js'
import { turn } from '#host/turn.js'

/** Of the event loop: more than anything needs that waits for no timer. */
const turns = 10

export class VirtualTime {
  readonly clock = new VirtualClock(0)

  /** Timer by timer. */
  async pass(ms: number): Promise<void> {
    const { clock } = this
    const end = clock.now() + ms
    await settled()
    for (let next = clock.nextAt; next !== undefined && next <= end; next = clock.nextAt) {
      clock.moveTo(next)
      await settled()
    }
    clock.moveTo(end)
  }

  /** Throws if a timer is still set after `limitMs`. */
  async passAll(limitMs: number): Promise<void> {
    await this.pass(limitMs)
    if (this.clock.nextAt !== undefined) throw new Error(`it goes on for more than ${limitMs} ms`)
  }
}

/** `setTimeout` and `performance.now` go by virtual time as long as `work` takes; nothing else may wait meanwhile. */
export async function inVirtualTime<T>(work: (time: VirtualTime) => Promise<T>): Promise<T> {
  const time = new VirtualTime()
  const { clock } = time
  const { clearTimeout: clearReal } = globalThis
  const putBack = [
    replace(globalThis, 'setTimeout', (callback: () => void, ms = 0) => clock.after(ms, callback)),
    replace(globalThis, 'clearTimeout', (timer: NodeJS.Timeout | (() => void) | undefined) => {
      if (typeof timer === 'function') timer()
      else clearReal(timer)
    }),
    replace(performance, 'now', () => clock.now()),
  ]
  try {
    return await work(time)
  } finally {
    for (const put of putBack) put()
  }
}

async function settled(): Promise<void> {
  for (let left = turns; left > 0; left--) await turn()
}

/** Not by tap's `intercept`, which takes down who has read it, each time. */
function replace(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name)
  Object.defineProperty(owner, name, { value, configurable: true, writable: true })
  return () => {
    if (before === undefined) Reflect.deleteProperty(owner, name)
    else Object.defineProperty(owner, name, before)
  }
}
