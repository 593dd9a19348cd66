// Whether dist/ was made of the sources as they are: nothing of them is newer than the beginning of the last build that ended well.
import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const stamp = join(root, 'dist/.built')

/** What a build reads. */
export const folders = ['sdk', 'host', 'examples', 'bench', 'chaos', 'test/support']

export async function isBuilt() {
  const built = await timeOf(stamp)
  if (built === undefined) return false
  const inFolders = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(root, folder), { recursive: true }))
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(root, folder, name)),
    ),
  )
  const own = ['scripts/build.mjs', 'package.json'].map((name) => join(root, name))
  const times = await Promise.all([...inFolders.flat(), ...own].map(timeOf))
  return times.every((time) => time !== undefined && time < built)
}

export async function markBuilt(begun) {
  await writeFile(stamp, '')
  await utimes(stamp, begun, begun)
}

const timeOf = (path) =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
