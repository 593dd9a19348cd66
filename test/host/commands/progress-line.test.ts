// The progress bar, as a terminal shows it.
import t from 'tap'
import { ProgressLine } from '#host/commands/progress-line.js'

/** What a terminal of a few rows makes of the bytes; the cursor begins at the top. */
function terminal(columns: number, rows = 24) {
  const lines: string[] = ['']
  let row = 0
  let column = 0
  let saved = { row, column }
  const put = (character: string) => {
    const line = (lines[row] ?? '').padEnd(column)
    lines[row] = line.slice(0, column) + character + line.slice(column + 1)
    column++
  }
  const feed = () => {
    row++
    if (row < rows) lines[row] ??= ''
    else {
      lines.shift()
      lines.push('')
      row--
    }
  }
  return {
    columns,
    lines,
    write(text: string) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal reads
      for (const part of text.match(/\u001b(?:\[\??\d*[A-Za-z]|[78])|[\s\S]/g) ?? []) {
        if (part === '\r') column = 0
        else if (part === '\n') {
          feed()
          column = 0
        } else if (part === '\u001b[K') lines[row] = (lines[row] ?? '').slice(0, column)
        else if (part === '\u001b7') saved = { row, column }
        else if (part === '\u001b8') {
          row = saved.row
          column = saved.column
        } else if (part.startsWith('\u001b')) throw new Error(`unknown: ${JSON.stringify(part)}`)
        else {
          if (column === columns) {
            feed()
            column = 0
          }
          put(part)
        }
      }
    },
  }
}

t.test('what is said while the bar is drawn stays on the screen, above the bar', (t) => {
  const screen = terminal(80)
  const progress = new ProgressLine({ total: 100, isShown: true, screen })
  progress.moved(50, 5)
  progress.print('line 6 is refused')
  progress.print('line 7 is refused')
  progress.moved(100, 8)
  progress.end()
  screen.write('8 lines acknowledged\n')
  t.same(screen.lines, [
    'line 6 is refused',
    'line 7 is refused',
    `[${'='.repeat(30)}] 100 % | 8 lines`,
    '8 lines acknowledged',
    '',
  ])
  t.end()
})

t.test('it scrolls with the screen, and never wraps', (t) => {
  const screen = terminal(20, 4)
  const progress = new ProgressLine({ total: 100, isShown: true, screen })
  for (let line = 1; line <= 9; line++) progress.print(`line ${line}`)
  t.same(screen.lines.slice(0, 3), ['line 7', 'line 8', 'line 9'])
  t.equal(screen.lines[3]?.length, 19)
  progress.end()
  t.end()
})

t.test('speed and time left are of the last seconds, and not guessed before', (t) => {
  const screen = terminal(120)
  let now = 0
  const progress = new ProgressLine({ total: 1000, isShown: true, screen, now: () => now })
  const shown = () => {
    progress.print('.')
    return screen.lines.at(-1)
  }
  progress.moved(10, 1)
  now = 900
  t.equal(shown(), `[${' '.repeat(30)}]   1 % | 1 line`)
  now = 1000
  progress.moved(100, 10)
  t.equal(shown(), `[===${' '.repeat(27)}]  10 % | 10 lines | 10 lines/s | 9 s left`)
  progress.end()
  t.end()
})

t.test('of standard input it shows what is known', (t) => {
  const screen = terminal(120)
  const progress = new ProgressLine({ total: undefined, isShown: true, screen })
  progress.moved(100, 1234)
  progress.print('.')
  t.equal(screen.lines.at(-1), '1,234 lines')
  progress.end()
  t.end()
})

t.test('without a terminal only what is said is written', (t) => {
  const screen = terminal(80)
  const progress = new ProgressLine({ total: 100, isShown: false, screen })
  progress.moved(50, 5)
  progress.print('line 6 is refused')
  progress.end()
  t.same(screen.lines, ['line 6 is refused', ''])
  t.end()
})
