// Java and Maven, as this machine has them: what a broker without Docker needs.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const oldestJava = 17
const orDocker = 'Or, with Docker: docker compose up'

/** Something that this machine lacks; the message says how to get it. */
export class Missing extends Error {
  override readonly name = 'Missing'
}

/** A Java that runs Kafka 4. */
export async function findJava(): Promise<{ command: string; version: string }> {
  const { JAVA_HOME } = process.env
  const command = JAVA_HOME === undefined ? 'java' : join(JAVA_HOME, 'bin', 'java')
  const said = await run(command, ['-version']).then(
    ({ stdout, stderr }) => stderr + stdout,
    () => undefined,
  )
  const [, version = '0'] = /version "([\w.+-]+)/.exec(said ?? '') ?? []
  const found = Number(/^(?:1\.)?(\d+)/.exec(version)?.[1])
  if (found >= oldestJava) return { command, version }
  throw new Missing(
    `Apache Kafka needs Java ${oldestJava} or newer; ${found === 0 ? `${command} was not found` : `${command} is Java ${found}`}.\n` +
      '  Debian, Ubuntu: apt-get install openjdk-17-jre-headless    macOS: brew install openjdk\n' +
      `  ${orDocker}`,
  )
}

/** Copies the jar files that the project in `folder` depends on to `libraries`, from where this machine's Maven takes them. */
export async function copyDependencies(folder: string, libraries: string): Promise<void> {
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
  const options = ['-q', '-B', '-DincludeScope=runtime', `-DoutputDirectory=${libraries}`]
  try {
    await run('mvn', [plugin, ...options], { cwd: folder, maxBuffer: 16 * 1024 * 1024 })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Missing(
        'Apache Kafka is fetched by Maven; mvn was not found.\n' +
          `  Debian, Ubuntu: apt-get install maven    macOS: brew install maven\n  ${orDocker}`,
      )
    }
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    throw new Error(`Maven could not fetch Apache Kafka:\n${said.trim()}`, { cause: error })
  }
}

/** A Java, and where its classes are. */
export interface Java {
  readonly command: string
  readonly classPath: string
  /** Of these classes, if there is one. */
  readonly archive?: string
}

/** How it finds them. */
export const classesOf = ({ classPath, archive }: Java): string[] => [
  // One that is not of this Java, or of other files, is left aside without a word.
  ...(archive === undefined ? [] : [`-XX:SharedArchiveFile=${archive}`, '-Xlog:disable']),
  '-cp',
  classPath,
]

/** For a short life, on a machine of few processors: half the time of a start with the second compiler. */
export const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

export interface JavaRunOptions {
  readonly options?: readonly string[]
  /** What it reads; without it, nothing. */
  readonly input?: string
  /** It is ended when this is aborted, and what it has printed is returned. */
  readonly until?: AbortSignal
}

/** Runs a class with a short life, and returns what it printed; rejects with that if it fails. */
export async function runJava(
  java: Java,
  main: string,
  args: readonly string[],
  { options = [], input = '', until }: JavaRunOptions = {},
): Promise<string> {
  const given = [...quick, '-Xmx256m', ...options, ...classesOf(java)]
  const child = spawn(java.command, [...given, main, ...args])
  const end = () => child.kill('SIGKILL')
  until?.addEventListener('abort', end)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  // It may have ended before it has read all.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code]: unknown[] = await once(child, 'close')
  until?.removeEventListener('abort', end)
  if (code === 0 || until?.aborted === true) return out
  throw new Error(`${main} ${args.join(' ')} ended with code ${code}:\n${out}${err}`)
}
