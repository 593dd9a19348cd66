// The command line as a process, with what it prints.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './until.js'

const main = join(process.cwd(), 'dist/host/main.js')

export class Command {
  readonly child: ChildProcess
  out = ''
  err = ''
  readonly ended: Promise<{ code: number | null; signal: string | null }>
  #check = () => {}

  /** `input`: what it reads; without it, nothing. */
  constructor(
    t: Test,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    { input, cwd }: { readonly input?: string | 'open'; readonly cwd?: string } = {},
  ) {
    this.child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
      // Leads a process group, as what a terminal starts does.
      detached: true,
    })
    if (input !== undefined && input !== 'open') this.child.stdin?.end(input)
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString()
      this.#check()
    })
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.err += chunk.toString()
    })
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as string | null,
    }))
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Resolves when the text has been printed; rejects when the process ends first. */
  async printed(text: string): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#check = () => {
        if (this.out.includes(text)) resolve()
      }
      this.#check()
    })
    const early = this.ended.then(() => {
      if (!this.out.includes(text))
        throw new Error(`ended before "${text}": ${this.out}${this.err}`)
    })
    await Promise.race([seen, early])
  }

  /** What each host that has listened so far said of itself, the newest last. */
  get listening(): readonly { readonly url: string; readonly pid: number }[] {
    return this.lines()
      .filter(({ msg }) => msg === 'listening')
      .map(({ url, pid }) => ({ url: String(url), pid: Number(pid) }))
  }

  /** The nth host that listens, counted from 1. */
  async host(nth = 1): Promise<{ readonly url: string; readonly pid: number }> {
    return await until(`host ${nth} listens`, () => {
      if (this.child.exitCode !== null) throw new Error(`ended: ${this.out}${this.err}`)
      return this.listening[nth - 1]
    })
  }

  lines(): Record<string, unknown>[] {
    // The last line may not be whole yet.
    return this.out
      .slice(0, this.out.lastIndexOf('\n') + 1)
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}
