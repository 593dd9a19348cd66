// The jar files of Apache Kafka, fetched once into a cache folder.
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { copyDependencies } from './java.js'

export const kafkaVersion = '4.1.0'
const log4jVersion = '2.24.3'

/** Where the cache folder is, if not among the user's caches. */
const cacheVariable = 'KAFKA_CACHE'

/** Group, artifact, version. */
export type Dependency = readonly [string, string, string]

const broker: readonly Dependency[] = [
  ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
  ['org.apache.kafka', 'kafka-tools', kafkaVersion],
  ['org.apache.logging.log4j', 'log4j-core', log4jVersion],
  ['org.apache.logging.log4j', 'log4j-slf4j-impl', log4jVersion],
]

const project = (
  dependencies: readonly Dependency[],
) => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>libraries</groupId>
  <artifactId>libraries</artifactId>
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

/** The folder of a broker's jar files. `fetching` is called if they have to be fetched first. */
export function kafkaLibraries(fetching?: () => void): Promise<string> {
  return libraries('lib', broker, fetching)
}

/** The folder `name` of the cache, with these jar files and those that they need. */
export async function libraries(
  name: string,
  dependencies: readonly Dependency[],
  fetching: () => void = () => {},
): Promise<string> {
  const folder = join(cacheFolder(), name)
  if (await exists(folder)) return folder
  fetching()
  await mkdir(dirname(folder), { recursive: true })
  // In a folder beside it, renamed when whole: an interrupted fetch, or two at a time, leave nothing half there.
  const making = await mkdtemp(join(dirname(folder), 'fetching-'))
  try {
    await writeFile(join(making, 'pom.xml'), project(dependencies))
    await copyDependencies(making, join(making, 'lib'))
    await rename(join(making, 'lib'), folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(making, { recursive: true, force: true })
  }
  return folder
}
