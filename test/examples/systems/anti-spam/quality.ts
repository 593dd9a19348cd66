// What the detector is worth: how many of those who are bad it stops, and how many others.
import type { Test } from 'tap'
import {
  type Events,
  kinds,
  makeEvents,
  shown,
} from '../../../../examples/systems/anti-spam/events.js'
import { type Expected, expectedOf } from './expected.js'

/** Those whose messages are withheld for some time. */
export const stoppedBy = ({ verdicts }: Expected): string[] =>
  [...verdicts].filter(([, { level }]) => level !== 'warned').map(([user]) => user)

/** Of those who are stopped, those who are bad; of those who are bad, those who are stopped. */
function qualityOf({ kinds: of }: Events, found: Expected) {
  const isBad = (user: string) => kinds[of.get(user) ?? 'friend'].isBad
  const stopped = stoppedBy(found)
  const right = stopped.filter(isBad).length
  const recall = right / [...of.keys()].filter(isBad).length
  return { precision: right / stopped.length, recall }
}

const percent = (value: number) => `${(100 * value).toFixed(1)} %`

/** Of what is expected, to which all tables have to be equal. */
export function checkQuality(
  t: Test,
  world: Events,
  expected: Expected,
  says: (text: string) => void,
): void {
  const { precision, recall } = qualityOf(world, expected)
  t.ok(precision > 0.9 && recall > 0.8, `precision ${precision}, recall ${recall}`)
  says(`| all together | ${percent(recall)} | ${percent(precision)} |`)
  for (const [name, looks] of [
    ['rates alone', { rates: true }],
    ['repeated texts alone', { rings: true }],
    ['reports alone', { reports: true }],
  ] as const) {
    const alone = qualityOf(world, expectedOf(world.events, looks))
    t.ok(alone.recall < recall - 0.3, `${name}: ${alone.recall}`)
    says(`| ${name} | ${percent(alone.recall)} | ${percent(alone.precision)} |`)
  }
  const others = [1, 2, 3, 4].map((seed) => {
    const made = makeEvents({ ...shown, seed })
    return qualityOf(made, expectedOf(made.events))
  })
  const range = (of: 'precision' | 'recall') => {
    const all = others.map((each) => Math.round(100 * each[of]))
    return `${Math.min(...all)} to ${Math.max(...all)} %`
  }
  says(`${range('recall')} were found, and ${range('precision')} rightly`)
}
