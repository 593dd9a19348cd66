// What the README of an example shows is what happens: its drawing, and its session with a host that runs the example's functions.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { startHostProcess } from '#bench/host-process.js'
import { Command } from './command.js'
import { testFolder } from './folder.js'
import { until } from './until.js'

/** Where the README has its host. */
const shownUrl = 'http://127.0.0.1:7420'
/** Builds first, which is done, and is not to be done under other tests. */
const fromCheckout = 'npm run -s millrace --'
const built = 'node dist/host/main.js'
const run = promisify(execFile)

/** Its first block of code has to be what `millrace topology` prints, its session as below. */
export async function checkReadme(t: Test, root: string): Promise<void> {
  const host = await startExample(t, root)
  const topology = new Command(t, ['topology', '--url', host.url])
  await topology.ended
  const [, drawing] = /^```\w*\n([\s\S]*?)^```$/m.exec(await readmeOf(root)) ?? []
  t.equal(drawing, topology.out, 'the drawing is what the command prints')
  await checkSession(t, root, host)
}

/** Where a host is, and what it stores. */
interface Example {
  readonly url: string
  readonly data: string
}

/** A real host on the example's folder, as its README says, until the end of the test. */
export async function startExample(
  t: Test,
  root: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Example> {
  t.match(await readmeOf(root), new RegExp(`^npm run .* --root ${root}$`, 'm'), 'how to run it')
  const data = testFolder(t)
  const host = await startHostProcess({ command: 'dev', root, data, env })
  t.teardown(() => host[Symbol.asyncDispose]())
  let readiness = ''
  const isReady = async () => {
    const response = await fetch(`${host.url}/readyz`)
    readiness = await response.text()
    return response.ok
  }
  await until('each function runs', isReady, () => readiness)
  return { url: host.url, data }
}

/**
 * In blocks that begin with ```console each line after `$ ` is run, and has to print, soon, what stands below it; `…` there stands for
 * anything in one line. A command without anything below it has to succeed. `host`: what they speak to.
 */
export async function checkSession(
  t: Test,
  root: string,
  { url, data }: Example = { url: shownUrl, data: `${root}/.millrace` },
): Promise<void> {
  const readme = await readmeOf(root)
  const sessions = [...readme.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(
    ([, text = '']) => text,
  )
  const steps = sessions.flatMap((text) => text.split(/^\$ /m).slice(1))
  t.ok(steps.length > 0, `${steps.length} commands`)
  for (const step of steps) {
    const [command = '', ...lines] = step.split('\n')
    const shown = lines.join('\n').trim()
    const ask = async () => {
      const line = command
        .replaceAll(shownUrl, url)
        .replaceAll(`${root}/.millrace`, data)
        .replaceAll(fromCheckout, built)
      const env = { ...process.env, MILLRACE_URL: url }
      return (await run('sh', ['-c', line], { env })).stdout.trim()
    }
    if (shown === '') await t.resolves(ask(), command)
    else t.pass(`${command}: ${await untilShown(ask, command, shown)}`)
  }
}

const readmeOf = (root: string) => readFile(join(root, 'README.md'), 'utf8')

async function untilShown(
  ask: () => Promise<string>,
  command: string,
  shown: string,
): Promise<string> {
  const parts = shown.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const pattern = new RegExp(`^${parts.join('.*')}$`)
  let printed = ''
  return await until(
    `${command} prints ${shown}`,
    async () => {
      printed = await ask().catch(String)
      return pattern.test(printed) && printed
    },
    () => printed,
  )
}
