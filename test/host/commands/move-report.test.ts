// What `move` shows, on a terminal and without one.
import t from 'tap'
import { MoveReport } from '#host/commands/move-report.js'

const topic = {
  name: 'clicks',
  kind: 'stream',
  partitions: 1,
  records: 1,
  bytes: 10,
  checksum: '0123456789abcdef0123',
  superseded: 0,
  positions: [],
} as const

function report(isTerminal: boolean, json = false) {
  const written: string[] = []
  const time = { ms: 0 }
  const screen = { columns: 120, write: (text: string) => written.push(text) }
  const shown = new MoveReport({ json, isTerminal, screen, now: () => time.ms })
  return { shown, written, time }
}

t.test('without a terminal it says each phase, each topic, and how far it is now and then', (t) => {
  const { shown, written, time } = report(false)
  shown.phase('copying', 2_000)
  shown.moved(10, 10)
  time.ms = 11_000
  shown.moved(1_000, 1_000)
  shown.moved(1_001, 1_001)
  shown.phase('verifying', 2_000)
  shown.verified(topic)
  shown.verified({ ...topic, kind: 'table', partitions: 4, records: 2_000, superseded: 7 })
  shown.notice('Kafka cannot be asked')
  shown.end()
  t.strictSame(written, [
    'copying\n',
    'copying: 50 %, 1,000 records\n',
    'reading back\n',
    'the same on both sides: clicks (stream, 1 partition), 1 record, sha256 0123456789abcdef…\n',
    'the same on both sides: clicks (table, 4 partitions), 2,000 records, 7 of them superseded there already, sha256 0123456789abcdef…\n',
    'millrace: Kafka cannot be asked\n',
  ])
  t.end()
})

t.test('on a terminal it draws a bar for each phase', (t) => {
  const { shown, written } = report(true)
  shown.phase('copying', 200)
  shown.moved(100, 90)
  shown.phase('verifying', 200)
  shown.end()
  const text = written.join('')
  t.match(text, 'copying | [===============               ]  50 % | 90 records')
  t.match(text, 'reading back | [')
  t.end()
})

t.test('for programs it says nothing on the way', (t) => {
  for (const isTerminal of [true, false]) {
    const { shown, written } = report(isTerminal, true)
    shown.phase('copying', 200)
    shown.moved(100, 90)
    shown.verified(topic)
    shown.notice('x')
    shown.end()
    t.strictSame(written, [])
  }
  t.end()
})
t.end()
