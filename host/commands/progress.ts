// The progress bar of `emit`, on standard error, for terminals only.
import { SingleBar } from 'cli-progress'
import { grouped } from './output.js'

export class EmitProgress {
  readonly #bar: SingleBar | undefined
  #bytes = 0

  /** Of standard input nobody knows how much is to come. */
  constructor({ totalBytes, isShown }: { totalBytes: number | undefined; isShown: boolean }) {
    if (!isShown) return
    this.#bar = new SingleBar({
      format:
        totalBytes === undefined
          ? '{lines} lines, {speed} lines/s'
          : '[{bar}] {percentage} % | {lines} lines, {speed} lines/s | {eta_formatted} left',
      barCompleteChar: '=',
      barIncompleteChar: ' ',
      hideCursor: true,
      clearOnComplete: false,
      stream: process.stderr,
    })
    this.#bar.start(totalBytes ?? 0, 0, { lines: '0', speed: '0' })
    this.#startedAt = performance.now()
  }

  #startedAt = 0

  moved(bytes: number, lines: number): void {
    this.#bytes += bytes
    const seconds = (performance.now() - this.#startedAt) / 1000
    this.#bar?.update(this.#bytes, {
      lines: grouped(lines),
      speed: grouped(Math.round(lines / Math.max(seconds, 0.001))),
    })
  }

  /** A line of its own, which the bar does not write over. */
  print(line: string): void {
    if (this.#bar !== undefined) process.stderr.write('\r\u001b[K')
    process.stderr.write(`${line}\n`)
  }

  end(): void {
    this.#bar?.stop()
  }
}
