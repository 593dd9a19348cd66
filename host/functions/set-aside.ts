// A damaged store is never deleted: somebody may want to know what happened to it.
import { rename } from 'node:fs/promises'
import { asHostError, HostError } from '../errors.js'
import type { Logger } from '../logger.js'

/** Its folder gets another name; nothing to do if it is gone. Rejects with STORE_FAILED. */
export async function setAside(path: string, damage: unknown, logger: Logger): Promise<void> {
  const aside = `${path}.damaged-${new Date().toISOString().replaceAll(':', '-')}`
  try {
    await rename(path, aside)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      logger.warn(`the store ${path} is gone: the table is rebuilt from the log`)
      return
    }
    throw new HostError(
      'STORE_FAILED',
      `the store ${path} is damaged, and could not be set aside as ${aside}: ${asHostError(cause).message}; move the folder away, or let the host write to the folder that it is in`,
      { cause },
    )
  }
  const found = asHostError(damage)
  logger.warn(
    `the store ${path} was damaged: it was set aside as ${aside}, and the table is rebuilt from the log; delete that folder when nobody needs it`,
    { from: path, to: aside, cause: asHostError(found.cause ?? found).message },
  )
}
