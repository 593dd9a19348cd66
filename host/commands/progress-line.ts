// A progress bar on standard error, for terminals only: one line, drawn anew below whatever is said meanwhile.
import { grouped } from './output.js'

/** What it draws on. */
export interface Screen {
  write(text: string): unknown
  readonly columns?: number
}

export interface ProgressLineOptions {
  /** What the bar shows a share of: bytes, or offsets. Of standard input nobody knows how much is to come. */
  readonly total: number | undefined
  /** What is counted besides, one and many. Default: line, lines. */
  readonly unit?: readonly [one: string, many: string]
  /** In front of the line. */
  readonly label?: string
  readonly isShown: boolean
  /** Default: standard error. */
  readonly screen?: Screen
  /** In ms. */
  readonly now?: () => number
}

interface Sample {
  readonly at: number
  readonly done: number
  readonly count: number
}

const drawMs = 100
/** The speed is that of the last seconds, and unknown before the first of them is over. */
const windowMs = 5_000
const leastWindowMs = 1_000
const barWidth = 30
const clearLine = '\r\u001b[K'

export class ProgressLine {
  readonly #screen: Screen
  readonly #total: number | undefined
  readonly #unit: readonly [one: string, many: string]
  readonly #label: readonly string[]
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout | undefined
  #done = 0
  #count = 0
  #samples: Sample[]

  constructor({
    total,
    unit = ['line', 'lines'],
    label,
    isShown,
    screen = process.stderr,
    now = () => performance.now(),
  }: ProgressLineOptions) {
    this.#screen = screen
    this.#total = total
    this.#unit = unit
    this.#label = label === undefined ? [] : [label]
    this.#now = now
    this.#samples = [{ at: now(), done: 0, count: 0 }]
    if (!isShown) return
    this.#timer = setInterval(() => this.#draw(), drawMs).unref()
    this.#draw()
  }

  /** What is done in all, of the total; and what is counted. */
  moved(done: number, count: number): void {
    this.#done = done
    this.#count = count
  }

  /** A line of its own, which stays. */
  print(line: string): void {
    if (this.#timer === undefined) this.#screen.write(`${line}\n`)
    else this.#screen.write(`${clearLine}${line}\n${this.#text()}`)
  }

  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#draw()
    this.#screen.write('\n')
  }

  #draw(): void {
    const at = this.#now()
    const from = this.#samples.findLastIndex((sample) => at - sample.at >= windowMs)
    this.#samples = this.#samples.slice(Math.max(from, 0))
    this.#samples.push({ at, done: this.#done, count: this.#count })
    this.#screen.write(`${clearLine}${this.#text()}`)
  }

  #text(): string {
    const first = this.#samples[0]
    const seconds = first === undefined ? 0 : (this.#now() - first.at) / 1000
    const isKnown = first !== undefined && seconds * 1000 >= leastWindowMs
    const speed = isKnown ? (this.#count - first.count) / seconds : undefined
    const donePerSecond = isKnown ? (this.#done - first.done) / seconds : 0
    const [one, many] = this.#unit
    const facts = [
      ...this.#label,
      ...this.#bar(),
      `${grouped(this.#count)} ${this.#count === 1 ? one : many}`,
      ...(speed === undefined ? [] : [`${grouped(Math.round(speed))} ${many}/s`]),
      ...this.#left(donePerSecond),
    ].join(' | ')
    // A line that wraps could not be cleared.
    return facts.slice(0, Math.max(0, (this.#screen.columns ?? 80) - 1))
  }

  #bar(): string[] {
    const total = this.#total
    if (total === undefined) return []
    const share = total === 0 ? 1 : Math.min(1, this.#done / total)
    const bar = '='.repeat(Math.floor(share * barWidth)).padEnd(barWidth)
    return [`[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %`]
  }

  #left(donePerSecond: number): string[] {
    const left = (this.#total ?? 0) - this.#done
    if (left <= 0 || donePerSecond <= 0) return []
    const seconds = Math.ceil(left / donePerSecond)
    const minutes = Math.floor(seconds / 60)
    return [minutes === 0 ? `${seconds} s left` : `${minutes} min ${seconds % 60} s left`]
  }
}
