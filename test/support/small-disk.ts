// A small disk of its own, which a test can fill: a tmpfs, where this user may mount one.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scope } from './scope.js'

export interface SmallDisk {
  readonly path: string
  /** Takes all the room that is left, or all but so many bytes. */
  fill(leaveBytes?: number): void
  free(): void
}

/** Undefined, and said so: this machine does not let this user mount one. */
export function smallDisk(t: Scope, bytes: number): SmallDisk | undefined {
  // Not in the test's own folder, which is emptied when it is asked for a second time.
  const path = mkdtempSync(join(tmpdir(), 'small-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'pipe' })
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().replaceAll('\n', ' ') : String(error)
    rmdirSync(path)
    t.comment(`no tmpfs may be mounted here (${why}): LevelDB's own disk-full error is not met`)
    return undefined
  }
  t.teardown(() => {
    // Lazy: a process that was killed a moment ago may still hold a file.
    execFileSync('umount', ['-l', path], { stdio: 'pipe' })
    rmdirSync(path)
  })
  const ballast = join(path, 'ballast')
  return {
    path,
    fill(leaveBytes = 0) {
      // By page: less is not to be had of a tmpfs.
      const block = Buffer.alloc(4096, 1)
      const file = openSync(ballast, 'a')
      let written = 0
      try {
        for (;;) written += writeSync(file, block)
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      } finally {
        closeSync(file)
      }
      if (leaveBytes > 0) truncateBy(ballast, Math.min(leaveBytes, written))
    },
    free() {
      rmSync(ballast, { force: true })
    },
  }
}

function truncateBy(file: string, bytes: number): void {
  execFileSync('truncate', ['-s', `-${bytes}`, file])
}
