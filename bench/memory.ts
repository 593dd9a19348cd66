// How much memory a host takes, as the operating system sees it.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Of a whole process group, in MB: what the host starts counts too. */
export async function residentMb(group: number): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pgid=,rss='])
  const kilobytes = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([pgid]) => pgid === group)
    .reduce((sum, [, rss = 0]) => sum + rss, 0)
  return kilobytes / 1024
}
