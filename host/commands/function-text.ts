// Functions as text: a table as wide as the terminal allows, and one function in detail.
import Table from 'cli-table3'
import type {
  FunctionState,
  FunctionStatus,
  RecoveryStatus,
  ShownError,
} from '../functions/catalog.js'
import { errorLines } from './error-text.js'
import { grouped, styled } from './output.js'

/** Below, columns would leave no room for what matters. */
const leastTableWidth = 72

const plain = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

export function functionTable(functions: readonly FunctionStatus[], width: number): string {
  if (functions.length === 0) {
    return 'no function is there: put a file into functions/, or make one with millrace new NAME'
  }
  const isNarrow = width < leastTableWidth
  const isAlone = isNarrow || functions.every(({ instances = [] }) => instances.length < 2)
  const rows = functions.map((status) => [
    status.name,
    shownState(status.state),
    ...(isNarrow ? [] : [status.version ?? '-']),
    known(status.lag, '-'),
    ...(isNarrow ? [] : [grouped(Math.round(status.rates.recordsPerSecond))]),
    ...(isAlone ? [] : [answering(status)]),
  ])
  // These are of the partitions of the one that was asked.
  const figures = ['LAG', 'RECORDS/S'].map((title) => (isAlone ? title : `${title} HERE`))
  const head = isNarrow
    ? ['FUNCTION', 'STATE', 'LAG']
    : ['FUNCTION', 'STATE', 'VERSION', ...figures, ...(isAlone ? [] : ['INSTANCES'])]
  const lines = aligned(head, rows)
  // An error has a line of its own: in a column of what is left nobody could read it.
  const errors = functions.map((status) =>
    [
      ...(status.error === null ? [] : [`  ${errorLine(status.error)}`]),
      ...elsewhere(status).map((line) => `  ${line}`),
    ].map((line) => styled('red', cut(line, width))),
  )
  return lines.flatMap((line, index) => [line, ...(errors[index - 1] ?? [])]).join('\n')
}

export function functionDetail(status: FunctionStatus): string {
  const { name, state, file, version, lag, rates, records, swaps, waitingFor, partitions, error } =
    status
  const facts = [
    ['state', shownState(state)],
    ['file', file],
    ['version', version ?? 'none has loaded'],
    ['lag', known(lag, 'not known')],
    ['records', `${grouped(records)}, ${grouped(Math.round(rates.recordsPerSecond))} a second`],
    ['swaps', grouped(swaps)],
    ...waitingFor.map((what, index) => [index === 0 ? 'waits' : '', `for ${what}`]),
  ]
  const rows = partitions.flatMap(({ partition, state: held, inputs }) =>
    inputs.map(({ stream, position, end, lag: behind }) => [
      String(partition),
      shownState(held),
      stream,
      grouped(position),
      known(end, '-'),
      known(behind, '-'),
    ]),
  )
  const others = status.instances ?? []
  const shares = others.map(
    ({ instance, address, state: at, version: of, refused, partitions: own, error: why }) => [
      instance,
      address ?? '-',
      at === null ? styled('red', why?.code ?? 'unknown') : shownState(at),
      `${of ?? '-'}${refused ? ', other edges' : ''}`,
      numbers(own.filter(({ state }) => state !== 'standby')),
      numbers(own.filter(({ state }) => state === 'standby')),
    ],
  )
  const recoveries = partitions.flatMap(({ partition, state: held, recovery }) => {
    if (recovery === null) return []
    const does = held === 'standby' ? 'stands by' : 'recovers'
    return [`  partition ${partition} ${does}: ${progressOf(recovery)}`]
  })
  return [
    styled('bold', name),
    ...facts.map(([title = '', fact]) => `  ${title.padEnd(9)}${fact}`),
    ...recoveries,
    ...(rows.length === 0
      ? []
      : ['', ...aligned(['PARTITION', 'STATE', 'STREAM', 'POSITION', 'END', 'LAG'], rows)]),
    ...(shares.length < 2
      ? []
      : [
          '',
          ...aligned(['INSTANCE', 'ADDRESS', 'STATE', 'VERSION', 'PARTITIONS', 'COPIES'], shares),
          ...elsewhere(status).map((line) => styled('red', line)),
        ]),
    ...(error === null ? [] : ['', ...errorLines(error)]),
  ].join('\n')
}

/** How many of them, where some do not; how many have halted, and how many versions they run, where these are several. */
function answering({ instances = [] }: FunctionStatus): string {
  const silent = instances.filter(({ state }) => state === null).length
  const halted = instances.filter(({ state }) => state === 'halted').length
  const versions = new Set(instances.flatMap(({ version }) => version ?? [])).size
  const count =
    silent === 0 ? `${instances.length}` : `${instances.length - silent} of ${instances.length}`
  return [
    count,
    ...(halted > 0 ? [styled('red', `${halted} halted`)] : []),
    ...(versions > 1 ? [`${versions} versions`] : []),
  ].join(', ')
}

/** What has gone wrong at other instances, each in a line: what is so here, too, is shown in whole. */
const elsewhere = ({ error: here, instances = [] }: FunctionStatus): string[] =>
  instances.flatMap(({ instance, error }) =>
    error === null || (error.code === here?.code && error.message === here.message)
      ? []
      : [`${instance}: ${errorLine(error)}`],
  )

function aligned(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const table = new Table({
    head: [...head],
    chars: plain,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((title) =>
      /^(LAG|RECORDS\/S|POSITION|END)\b/.test(title) ? 'right' : 'left',
    ),
  })
  for (const row of rows) table.push([...row])
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}

const numbers = (of: readonly { readonly partition: number }[]): string =>
  of.map(({ partition }) => partition).join(' ') || '-'

function progressOf({ position, end, stalled }: RecoveryStatus): string {
  const where =
    position === null
      ? 'nothing was read yet'
      : `${grouped(position)} of ${known(end, 'an end that is not known')}`
  return stalled ? `${where}, ${styled('red', 'stalled')}` : where
}

const known = (count: number | null, otherwise: string): string =>
  count === null ? otherwise : grouped(count)

const errorLine = ({ code, message }: Pick<ShownError, 'code' | 'message'>): string =>
  `${code}: ${message.split('\n')[0] ?? ''}`

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`

const colours: Partial<Record<FunctionState | 'standby', 'green' | 'red' | 'yellow'>> = {
  running: 'green',
  halted: 'red',
  paused: 'yellow',
}

export function shownState(state: FunctionState | 'standby'): string {
  const colour = colours[state]
  return colour === undefined ? state : styled(colour, state)
}
