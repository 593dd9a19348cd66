// The progress bar of `emit`, on standard error, for terminals only: one line, drawn anew below whatever is said meanwhile.
import { grouped } from './output.js'

/** What it draws on. */
export interface Screen {
  write(text: string): unknown
  readonly columns?: number
}

export interface EmitProgressOptions {
  /** Of standard input nobody knows how much is to come. */
  readonly totalBytes: number | undefined
  readonly isShown: boolean
  /** Default: standard error. */
  readonly screen?: Screen
  /** In ms. */
  readonly now?: () => number
}

interface Sample {
  readonly at: number
  readonly bytes: number
  readonly lines: number
}

const drawMs = 100
/** The speed is that of the last seconds, and unknown before the first of them is over. */
const windowMs = 5_000
const leastWindowMs = 1_000
const barWidth = 30
const clearLine = '\r\u001b[K'

export class EmitProgress {
  readonly #screen: Screen
  readonly #totalBytes: number | undefined
  readonly #now: () => number
  readonly #timer: NodeJS.Timeout | undefined
  #bytes = 0
  #lines = 0
  #samples: Sample[]

  constructor({
    totalBytes,
    isShown,
    screen = process.stderr,
    now = () => performance.now(),
  }: EmitProgressOptions) {
    this.#screen = screen
    this.#totalBytes = totalBytes
    this.#now = now
    this.#samples = [{ at: now(), bytes: 0, lines: 0 }]
    if (!isShown) return
    this.#timer = setInterval(() => this.#draw(), drawMs).unref()
    this.#draw()
  }

  /** What is done in all: bytes of the input, and lines that are acknowledged. */
  moved(bytes: number, lines: number): void {
    this.#bytes = bytes
    this.#lines = lines
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
    this.#samples.push({ at, bytes: this.#bytes, lines: this.#lines })
    this.#screen.write(`${clearLine}${this.#text()}`)
  }

  #text(): string {
    const first = this.#samples[0]
    const seconds = first === undefined ? 0 : (this.#now() - first.at) / 1000
    const isKnown = first !== undefined && seconds * 1000 >= leastWindowMs
    const speed = isKnown ? (this.#lines - first.lines) / seconds : undefined
    const bytesPerSecond = isKnown ? (this.#bytes - first.bytes) / seconds : 0
    const what = this.#lines === 1 ? 'line' : 'lines'
    const facts = [
      ...this.#bar(),
      `${grouped(this.#lines)} ${what}`,
      ...(speed === undefined ? [] : [`${grouped(Math.round(speed))} lines/s`]),
      ...this.#left(bytesPerSecond),
    ].join(' | ')
    // A line that wraps could not be cleared.
    return facts.slice(0, Math.max(0, (this.#screen.columns ?? 80) - 1))
  }

  #bar(): string[] {
    const total = this.#totalBytes
    if (total === undefined) return []
    const share = total === 0 ? 1 : Math.min(1, this.#bytes / total)
    const bar = '='.repeat(Math.floor(share * barWidth)).padEnd(barWidth)
    return [`[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %`]
  }

  #left(bytesPerSecond: number): string[] {
    const left = (this.#totalBytes ?? 0) - this.#bytes
    if (left <= 0 || bytesPerSecond <= 0) return []
    const seconds = Math.ceil(left / bytesPerSecond)
    const minutes = Math.floor(seconds / 60)
    return [minutes === 0 ? `${seconds} s left` : `${minutes} min ${seconds % 60} s left`]
  }
}
