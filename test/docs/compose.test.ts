import { readFileSync } from 'node:fs'
import t from 'tap'
import { kafkaVersion } from '../support/kafka/libraries.js'
import { brokerProperties } from '../support/kafka/properties.js'

t.test('compose.yaml starts the same broker as npm run kafka', (t) => {
  const text = readFileSync('compose.yaml', 'utf8')
  t.match(text, `image: apache/kafka:${kafkaVersion}\n`)
  const [, shared = '', own = ''] = text.split(/# (?:As in|Of this) .*\n/)
  const given = [...shared.matchAll(/^ +KAFKA_([A-Z_]+): '?([^'\n]*)'?$/gm)]
  const properties = given.map(([, name = '', value = '']) => [
    name.toLowerCase().replaceAll('_', '.'),
    value,
  ])
  t.strictSame(Object.fromEntries(properties), brokerProperties)
  t.match(own, 'KAFKA_ADVERTISED_LISTENERS: PLAINTEXT://127.0.0.1:9092\n')
  t.end()
})
