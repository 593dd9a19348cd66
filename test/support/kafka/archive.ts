// Kafka's classes as Java keeps them between runs: what starts with them takes half the time of a processor.
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { quick } from './java.js'
import { Server } from './server.js'
import { installation } from './tool.js'

/** Makes it, unless there is one for this Java. */
export async function makeArchive(fetching?: () => void): Promise<void> {
  const java = await installation(fetching)
  if (java.archive !== undefined) return
  // In a folder beside it, renamed when whole: two at a time leave nothing half there.
  const making = await mkdtemp(join(dirname(java.archivePath), 'making-'))
  const root = await mkdtemp(join(tmpdir(), 'kafka-classes-'))
  const made = join(making, 'classes.jsa')
  const options = [...quick, `-XX:ArchiveClassesAtExit=${made}`]
  const server = await Server.inFolder(java, root, { options })
  try {
    await server.format()
    await server.start()
    await server.stop()
    await rename(made, java.archivePath)
  } finally {
    await server.kill()
    for (const folder of [making, root]) await rm(folder, { recursive: true, force: true })
  }
}
