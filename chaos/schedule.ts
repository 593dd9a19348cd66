// What goes wrong, and when: made in advance of a seed, so that the same seed makes the same schedule.
import { Choice } from '../test/support/choice.js'
import { times } from './settings.js'

export const members = ['a', 'b', 'c'] as const
/** Those that run all the time, and one that comes and goes. */
export const instances = [...members, 'd'] as const
export type InstanceName = (typeof instances)[number]
export type Target = InstanceName | 'broker' | 'all'

/** The instance whose data folder lies on a small disk. */
export const smallDiskOf: InstanceName = 'c'

interface Drawn {
  readonly target: Target
  /** How long what is done stays so. */
  readonly lastsMs: number
  /** In which way, where there are several. */
  readonly how?: string
  /** A further instance that it befalls. */
  readonly other?: InstanceName
  /** Any number below 1, where a place is needed. */
  readonly place?: number
}

const member = (random: Choice): InstanceName => random.one(members)
const pastSession = (random: Choice): number => times.sessionTimeoutMs + random.between(500, 3_000)

/** Each kind with how it is drawn; they are drawn in turn. */
const inTurn = {
  /** kill -9 of the host; its supervisor starts another. */
  'kill host': (random): Drawn => ({ target: member(random), lastsMs: 0 }),
  /** kill -9 of the supervisor; the host ends by itself. Both are started again. */
  'kill supervisor': (random): Drawn => ({
    target: member(random),
    lastsMs: random.between(0, 2_000),
  }),
  /** An orderly end, and a start. */
  restart: (random): Drawn => ({ target: member(random), lastsMs: random.between(0, 4_000) }),
  /** SIGSTOP past the session, SIGCONT. */
  freeze: (random): Drawn => ({ target: member(random), lastsMs: pastSession(random) }),
  /** A further instance comes, and goes again. */
  join: (random): Drawn => ({
    target: 'd',
    lastsMs: random.between(3_000, 9_000),
    how: random.one([
      'with its old tables, stopped',
      'with nothing, stopped',
      'with nothing, killed',
    ]),
  }),
  /** Every instance gets a new version of a function. */
  swap: (random): Drawn => ({
    target: 'all',
    lastsMs: 0,
    how: random.one(['count', 'sum', 'limits']),
  }),
  /** kill -9 of the broker, and its start. */
  'kill broker': (random): Drawn => ({ target: 'broker', lastsMs: random.between(0, 3_000) }),
  /** The way from an instance to the broker. */
  cut: (random): Drawn => ({
    target: member(random),
    lastsMs: random.happens(0.5) ? random.between(200, 2_000) : pastSession(random),
    how: random.one(['cut', 'silent']),
  }),
  /** Each answer of the broker to an instance comes late. */
  slow: (random): Drawn => ({
    target: member(random),
    lastsMs: random.between(2_000, 6_000),
    how: String(random.between(100, 600)),
  }),
  /** One is killed, and starts with nothing; while that recovers, another one starts anew with nothing. */
  'rebalance in recovery': (random): Drawn => {
    const [target, other] = random.shuffled(members)
    if (target === undefined || other === undefined) throw new RangeError('there are three members')
    return { target, other, lastsMs: random.between(300, 1_500) }
  },
  /** The tables are deleted while the host is down. */
  'lose store': (random): Drawn => ({
    target: member(random),
    lastsMs: random.between(0, 1_000),
    how: random.one(['stopped', 'killed']),
  }),
  /** The tables are damaged while the host is down. */
  'damage store': (random): Drawn => ({
    target: member(random),
    lastsMs: random.between(0, 1_000),
    how: random.one(['stopped, bytes flipped', 'killed, bytes flipped', 'killed, manifest cut']),
    place: random.next(),
  }),
  /** Nothing more goes to the disk of an instance. */
  'fill disk': (random): Drawn => ({ target: smallDiskOf, lastsMs: random.between(1_000, 5_000) }),
} as const satisfies Record<string, (random: Choice) => Drawn>

/** Those that many machines have no means for come beside them, by a draw of their own: that of the others is the same with and without. */
const beside = {
  /** The link of an instance: brokers, other instances and clients are all out of reach, silently, for less than a session or for more. */
  unplug: (random): Drawn => ({ target: member(random), lastsMs: random.between(2_000, 6_000) }),
} as const satisfies Record<string, (random: Choice) => Drawn>

type KindInTurn = keyof typeof inTurn
type KindBeside = keyof typeof beside
export type Kind = KindInTurn | KindBeside
const kindsInTurn = Object.keys(inTurn) as KindInTurn[]
const kindsBeside = Object.keys(beside) as KindBeside[]
export const allKinds: readonly Kind[] = [...kindsInTurn, ...kindsBeside]

export interface Fault extends Drawn {
  readonly atMs: number
  readonly kind: Kind
}

export interface ScheduleOptions {
  readonly seed: number
  readonly forMs: number
  /** Kinds that this machine has no means for, or that nobody asks for. They are drawn, and left out: the others stay as they are. */
  readonly without?: ReadonlySet<Kind>
}

const firstAtMs = 2_000
/** After the end of a fault, for things to come to rest. */
const restMs = { least: 4_000, most: 9_000 }
/** When the next one does not wait for that. */
const overlapMs = { least: 300, most: 2_500 }
const overlapping = 0.3
/** Of those that come beside the others, from one to the next of the same kind. */
const besideMs = { least: 15_000, most: 45_000 }
/** Of the run, after which nothing begins. */
const calmMs = 6_000

export function schedule({ seed, forMs, without = new Set() }: ScheduleOptions): Fault[] {
  return [
    ...faultsInTurn(seed, forMs),
    ...kindsBeside.flatMap((kind, n) => faultsBeside(kind, seed + n + 1, forMs)),
  ]
    .filter(({ kind }) => !without.has(kind))
    .sort((a, b) => a.atMs - b.atMs)
}

function faultsInTurn(seed: number, forMs: number): Fault[] {
  const random = new Choice(seed)
  const faults: Fault[] = []
  let atMs = firstAtMs
  let bag: KindInTurn[] = []
  for (;;) {
    if (bag.length === 0) bag = random.shuffled(kindsInTurn)
    const kind = bag.pop()
    if (kind === undefined) throw new RangeError('there is no kind of fault')
    const drawn = inTurn[kind](random)
    const next = random.happens(overlapping)
      ? random.between(overlapMs.least, overlapMs.most)
      : drawn.lastsMs + random.between(restMs.least, restMs.most)
    if (atMs + drawn.lastsMs + calmMs > forMs) return faults
    faults.push({ atMs, kind, ...drawn })
    atMs += next
  }
}

function faultsBeside(kind: KindBeside, seed: number, forMs: number): Fault[] {
  const random = new Choice(seed)
  const faults: Fault[] = []
  for (let atMs = 0; ; ) {
    atMs += random.between(besideMs.least, besideMs.most)
    const drawn = beside[kind](random)
    if (atMs + drawn.lastsMs + calmMs > forMs) return faults
    faults.push({ atMs, kind, ...drawn })
  }
}

export function inWords({ kind, target, other, lastsMs, how }: Fault): string {
  const where = [target, other].filter((name) => name !== undefined).join(' and ')
  const details = [how, lastsMs === 0 ? undefined : `for ${lastsMs} ms`].filter(
    (detail) => detail !== undefined,
  )
  return `${kind} ${where}${details.length === 0 ? '' : ` (${details.join(', ')})`}`
}

export const shown = (fault: Fault): string => `${seconds(fault.atMs)}  ${inWords(fault)}`

/** In the time of a run. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(7)} s`
