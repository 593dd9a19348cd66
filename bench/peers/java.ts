// The program with Kafka Streams, compiled by a compiler that is a library itself: a Java without one is enough.
import { mkdir, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findJava, type Java, runJava } from '../../test/support/kafka/java.js'
import { type Dependency, kafkaVersion, libraries } from '../../test/support/kafka/libraries.js'

const source = fileURLToPath(new URL('../../../bench/peers', import.meta.url))

const dependencies: readonly Dependency[] = [
  ['org.apache.kafka', 'kafka-streams', kafkaVersion],
  ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ['org.eclipse.jdt', 'ecj', '3.44.0'],
]

/** Compiles it into `folder`. */
export async function compilePeers(folder: string, fetching: () => void): Promise<Java> {
  const { command } = await findJava()
  const jars = join(await libraries('streams', dependencies, fetching), '*')
  const classes = join(folder, 'classes')
  await mkdir(classes, { recursive: true })
  const files = (await readdir(source)).filter((name) => name.endsWith('.java'))
  await runJava(
    { command, classPath: jars },
    'org.eclipse.jdt.internal.compiler.batch.Main',
    // It knows no wildcard of its own, and takes what it runs with.
    ['-17', '-proc:none', '-d', classes, ...files.map((name) => join(source, name))],
  )
  return { command, classPath: [classes, jars].join(delimiter) }
}
