// Drawings, as a person sees them.
import t from 'tap'
import { type Drawn, drawTopology } from '#host/commands/topology-drawing.js'
import type { FunctionState } from '#host/functions/catalog.js'

interface Sketch {
  readonly in: readonly string[]
  readonly out?: readonly string[]
  readonly table?: boolean
  readonly loop?: boolean
  readonly joins?: readonly string[]
  readonly lookups?: readonly string[]
  readonly state?: FunctionState
}

function topologyOf(sketches: Readonly<Record<string, Sketch>>): Drawn {
  const functions = Object.entries(sketches).map(([name, sketch]) => ({
    name,
    state: sketch.state ?? 'running',
    kind: 'processor' as const,
    inputs: sketch.in,
    outputs: sketch.out ?? [],
    table: sketch.table ? name : null,
    loop: sketch.loop ?? false,
    joins: sketch.joins ?? [],
    lookups: sketch.lookups ?? [],
  }))
  const streams = new Set(functions.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))
  return {
    functions,
    streams: [...streams].map((name) => ({ name })),
    edges: functions.flatMap(({ name, inputs, outputs, table, loop }) => [
      ...inputs.map((stream) => ({ from: `stream:${stream}`, to: `function:${name}` })),
      ...outputs.map((stream) => ({ from: `function:${name}`, to: `stream:${stream}` })),
      ...(table === null ? [] : [{ from: `function:${name}`, to: `table:${name}` }]),
      ...(loop ? [{ from: `function:${name}`, to: `function:${name}` }] : []),
    ]),
  }
}

const drawings: readonly (readonly [string, Readonly<Record<string, Sketch>>, string])[] = [
  ['nothing', {}, ''],
  [
    'a chain, a table, a state that is not running',
    { a: { in: ['s'], out: ['t'] }, count: { in: ['t'], table: true, state: 'halted' } },
    's ──▶ [a] ──▶ t ──▶ [count ▤: halted]',
  ],
  [
    'a fan-in',
    { join: { in: ['x', 'yy', 'zzz'], out: ['out'] } },
    'x ───┬──▶ [join] ──▶ out\nyy ──┤\nzzz ─┘',
  ],
  [
    'a fan-out',
    { a: { in: ['s'] }, bb: { in: ['s'], out: ['o', 'p'] }, c: { in: ['s'] } },
    's ─┬──▶ [a]\n   ├──▶ [bb] ─┬──▶ o\n   └──▶ [c]   └──▶ p',
  ],
  [
    'a diamond',
    {
      split: { in: ['in'], out: ['l', 'r'] },
      left: { in: ['l'], out: ['lo'] },
      right: { in: ['r'], out: ['ro'] },
      merge: { in: ['lo', 'ro'] },
    },
    'in ──▶ [split] ─┬──▶ l ──▶ [left] ───▶ lo ─┬──▶ [merge]\n' +
      '                └──▶ r ──▶ [right] ──▶ ro ─┘',
  ],
  [
    'streams that share all their functions',
    { a: { in: ['s', 't'] }, b: { in: ['s', 't'] } },
    's ─┬──▶ [a]\nt ─┴──▶ [b]',
  ],
  [
    'streams that share some of them, without lines that could be taken for one another',
    { a: { in: ['t'] }, b: { in: ['s'] }, c: { in: ['s', 't'] } },
    't ───┬──▶ [a]\ns ─┬─┴──▶ [c]\n   └────▶ [b]',
  ],
  [
    'a line past what lies between',
    { a: { in: ['in'], out: ['m'] }, b: { in: ['m', 'in'] } },
    'in ─┬──▶ [a] ──▶ m ─┬──▶ [b]\n    └───────────────┘',
  ],
  [
    'a loop, and parts that have nothing to do with each other',
    { bank: { in: ['transfers'], table: true, loop: true }, other: { in: ['x'] } },
    'transfers ──▶ [bank ▤ ↺]\n\nx ──▶ [other]',
  ],
  [
    'tables that are read',
    { greet: { in: ['visits'], joins: ['profiles'], lookups: ['pages', 'profiles'] } },
    'visits ──▶ [greet ⋈ profiles, pages]',
  ],
  [
    'a way back, named where it arrives',
    { a: { in: ['in', 'back'], out: ['m'] }, b: { in: ['m'], out: ['back'] } },
    'in ──▶ [a] ⇠ back ──▶ m ──▶ [b] ──▶ back',
  ],
  [
    'a cycle that nothing leads into',
    { a: { in: ['p'], out: ['q'] }, b: { in: ['q'], out: ['p'] } },
    '[a] ⇠ p ──▶ q ──▶ [b] ──▶ p',
  ],
]

for (const [title, sketches, expected] of drawings) {
  t.test(`draws ${title}`, async (t) => {
    t.equal(drawTopology(topologyOf(sketches)), expected)
  })
}

t.test('draws any topology: every name is there once, and it ends', async (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    let state = seed
    const upTo = (n: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % n
    }
    const some = () => Array.from({ length: 1 + upTo(3) }, () => `s${upTo(8)}`)
    const sketches = Object.fromEntries(
      Array.from({ length: 1 + upTo(7) }, (_, index) => [
        `f${index}`,
        { in: [...new Set(some())], out: upTo(2) ? [...new Set(some())] : [] },
      ]),
    )
    const drawing = drawTopology(topologyOf(sketches))
    for (const name of Object.keys(sketches)) {
      t.equal(drawing.split(`[${name}]`).length, 2, `${name}, seed ${seed}\n${drawing}`)
    }
  }
})
