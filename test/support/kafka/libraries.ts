// The jar files of Apache Kafka, fetched once into a cache folder.
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { copyDependencies } from './java.js'

export const kafkaVersion = '4.1.0'
const log4jVersion = '2.24.3'

/** Where the cache folder is, if not among the user's caches. */
const cacheVariable = 'KAFKA_CACHE'

const dependencies = [
  ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
  ['org.apache.kafka', 'kafka-tools', kafkaVersion],
  ['org.apache.logging.log4j', 'log4j-core', log4jVersion],
  ['org.apache.logging.log4j', 'log4j-slf4j-impl', log4jVersion],
] as const

const project = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>broker</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <dependencies>
${dependencies
  .map(
    ([group, artifact, version]) =>
      `    <dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>\n`,
  )
  .join('')}  </dependencies>
</project>
`

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

function cacheFolder(): string {
  const { XDG_CACHE_HOME = join(homedir(), '.cache'), [cacheVariable]: given } = process.env
  return given ?? join(XDG_CACHE_HOME, 'millrace', `kafka-${kafkaVersion}`)
}

/** The folder of the jar files. `fetching` is called if they have to be fetched first. */
export async function kafkaLibraries(fetching: () => void = () => {}): Promise<string> {
  const libraries = join(cacheFolder(), 'lib')
  if (await exists(libraries)) return libraries
  fetching()
  await mkdir(dirname(libraries), { recursive: true })
  // In a folder beside it, renamed when whole: an interrupted fetch, or two at a time, leave nothing half there.
  const making = await mkdtemp(join(dirname(libraries), 'fetching-'))
  try {
    await writeFile(join(making, 'pom.xml'), project)
    await copyDependencies(making, join(making, 'lib'))
    await rename(join(making, 'lib'), libraries).catch(async (error: unknown) => {
      if (!(await exists(libraries))) throw error
    })
  } finally {
    await rm(making, { recursive: true, force: true })
  }
  return libraries
}
