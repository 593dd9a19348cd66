// What `move` shows while it works and at its end: a bar on a terminal, else a line now and then.
import type { MoveEvents, MovePhase, MoveResult } from '../move/move.js'
import type { VerifiedTopic } from '../move/verify.js'
import { grouped, writeJson, writeText } from './output.js'
import { ProgressLine, type Screen } from './progress-line.js'

export interface MoveReportOptions {
  readonly json: boolean
  readonly isTerminal: boolean
  /** Default: standard error. */
  readonly screen?: Screen
  /** In ms. */
  readonly now?: () => number
}

const labels: Readonly<Record<MovePhase, string>> = {
  asking: 'asking the cluster',
  reading: 'reading what there is',
  copying: 'copying',
  verifying: 'reading back',
  positions: 'moving positions',
  keeping: 'setting how long streams are kept',
}

/** Without a terminal. */
const sayMs = 10_000

export class MoveReport implements MoveEvents {
  readonly #options: Required<MoveReportOptions>
  #line: ProgressLine
  #label = ''
  #total = 0
  #saidAt = 0

  constructor(options: MoveReportOptions) {
    this.#options = { screen: process.stderr, now: () => performance.now(), ...options }
    this.#line = this.#start(undefined, false)
  }

  phase(phase: MovePhase, total: number): void {
    const { now } = this.#options
    this.#line.end()
    this.#label = labels[phase]
    this.#total = total
    this.#saidAt = now()
    const isShown = this.#options.isTerminal && total > 0
    this.#line = this.#start(total, isShown)
    if (!isShown) this.#say(this.#label)
  }

  moved(offsets: number, records: number): void {
    this.#line.moved(offsets, records)
    const { now, isTerminal } = this.#options
    if (isTerminal || now() - this.#saidAt < sayMs) return
    this.#saidAt = now()
    const share = Math.floor((offsets / Math.max(1, this.#total)) * 100)
    this.#say(`${this.#label}: ${share} %, ${grouped(records)} records`)
  }

  verified(topic: VerifiedTopic): void {
    this.#say(`the same on both sides: ${topicText(topic)}`)
  }

  notice(text: string): void {
    this.#say(`millrace: ${text}`)
  }

  end(): void {
    this.#line.end()
    this.#line = this.#start(undefined, false)
  }

  #say(line: string): void {
    if (!this.#options.json) this.#line.print(line)
  }

  #start(total: number | undefined, isShown: boolean): ProgressLine {
    const { json, screen, now } = this.#options
    return new ProgressLine({
      total,
      unit: ['record', 'records'],
      label: this.#label,
      isShown: isShown && !json,
      screen,
      now,
    })
  }
}

const topicText = ({ name, kind, partitions, records, superseded, checksum }: VerifiedTopic) =>
  [
    `${name} (${kind}, ${partitions} ${partitions === 1 ? 'partition' : 'partitions'})`,
    `${grouped(records)} ${records === 1 ? 'record' : 'records'}`,
    ...(superseded === 0 ? [] : [`${grouped(superseded)} of them superseded there already`]),
    `sha256 ${checksum.slice(0, 16)}…`,
  ].join(', ')

export interface MovedFrom {
  /** The folder of the embedded log. */
  readonly log: string
  readonly brokers: readonly string[]
}

export function showMove(result: MoveResult, from: MovedFrom, json: boolean): void {
  if (json) writeJson(documentOf(result))
  else writeText(textOf(result, from))
}

function documentOf({ before, topics, positions, forever }: MoveResult): object {
  return {
    before: before ?? null,
    topics: topics.map(({ positions: _, ...topic }) => topic),
    positions,
    forever,
  }
}

function textOf(
  { before, topics, positions, forever }: MoveResult,
  { log, brokers }: MovedFrom,
): string {
  const next = `Next: "log": { "kind": "kafka", "brokers": ${JSON.stringify(brokers)} } in host.config.json, then start the host.`
  const stay = forever.map(
    ({ name, retentionMs }) =>
      `${name} is kept for ever there, so that nothing goes before it is read. When it may: kafka-configs.sh --bootstrap-server ${brokers[0]} ` +
      `--alter --topic ${name} --add-config retention.ms=${retentionMs}`,
  )
  if (before !== undefined) {
    const moved = `nothing to move: all of it was moved at ${before}, and nothing has been added here since`
    return [moved, ...stay, next].join('\n')
  }
  const records = topics.reduce((sum, topic) => sum + topic.records, 0)
  return [
    `moved: ${grouped(topics.length)} topics, ${grouped(records)} records, ${grouped(positions)} positions; read back, and the same`,
    ...stay,
    next,
    `${log} is as it was; nobody needs it any more when the host runs there.`,
  ].join('\n')
}
