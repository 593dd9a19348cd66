// Node's diagnostic reports of hosts that died of a fatal error: which thread it was, and what may stay on disk of them.
import { mkdirSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../whole-file.js'

const keptReports = 10
/** `report.DATE.TIME.PID.THREAD.NUMBER.json` */
const reportName = /^report\.\d+\.\d+\.(\d+)\.(\d+)\.\d+\.json$/

export const reportsFolder = (data: string): string => join(data, 'crash-reports')

/** In the host: from now on a fatal error of this process leaves a report. */
export function reportFatalErrors(data: string): void {
  const directory = reportsFolder(data)
  try {
    // They hold the environment until the supervisor has seen them.
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch {
    // A data folder that cannot be made is told by who needs it.
    return
  }
  const { report } = process
  report.directory = directory
  report.compact = true
  // Looking up the names of all peers would keep the dying process for long.
  Object.assign(report, { excludeNetwork: true })
  report.reportOnFatalError = true
}

/** In the supervisor: the thread of the dead process in which it happened. Secrets are taken out, old reports removed. */
export async function faultyThread(data: string, pid: number): Promise<number | undefined> {
  const folder = reportsFolder(data)
  const names = (await readdir(folder).catch(() => [])).filter((name) => reportName.test(name))
  // Date and time come first in their names.
  names.sort().reverse()
  await Promise.all(names.slice(keptReports).map((name) => rm(join(folder, name), { force: true })))
  await Promise.all(names.slice(0, keptReports).map((name) => withoutSecrets(join(folder, name))))
  for (const name of names) {
    const [, process, thread] = reportName.exec(name) ?? []
    if (Number(process) === pid) return Number(thread)
  }
  return undefined
}

async function withoutSecrets(file: string): Promise<void> {
  try {
    const text = await readFile(file, 'utf8')
    // Of each thread that the report tells of.
    const clean = JSON.stringify(JSON.parse(text), (name: string, value: unknown) =>
      name === 'environmentVariables' ? undefined : value,
    )
    if (clean === text) return
    await writeWhole(file, clean, { mode: 0o600 })
  } catch {
    // One that broke off in the middle cannot be cleaned.
    await rm(file, { force: true })
  }
}
