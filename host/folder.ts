// What is known of a folder.
import { stat } from 'node:fs/promises'

/** False also for one that cannot be looked at. */
export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
