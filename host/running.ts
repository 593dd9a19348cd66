// Who runs a data folder, and where it listens: a file there, for the commands that speak to the host.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from './object.js'
import { isAlive } from './process-alive.js'
import { writeWholeSync } from './whole-file.js'

export interface Running {
  /** Of the process that sees to it that a host is there: the supervisor, else the host itself. */
  readonly pid: number
  readonly url: string
}

const runningFile = (data: string): string => join(data, 'running.json')

/** A host that dies leaves the file: its supervisor, which lives, starts another. */
export function sayRunning(data: string, running: Running): void {
  const file = runningFile(data)
  try {
    writeWholeSync(file, `${JSON.stringify(running)}\n`)
  } catch {
    // On a full disk the host runs nevertheless; commands then look where its configuration says.
    rmSync(file, { force: true })
  }
}

export function sayStopped(data: string): void {
  rmSync(runningFile(data), { force: true })
}

/** Undefined: nobody does, or it is not known. */
export function whoRuns(data: string): Running | undefined {
  try {
    const { pid, url }: Partial<Running> = object(readFileSync(runningFile(data), 'utf8'))
    if (typeof pid !== 'number' || typeof url !== 'string') return undefined
    // In a container every start may have the same pid.
    return pid !== process.pid && isAlive(pid) ? { pid, url } : undefined
  } catch {
    return undefined
  }
}

function object(text: string): object {
  const value: unknown = JSON.parse(text)
  return isObject(value) ? value : {}
}
