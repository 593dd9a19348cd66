// What a consumer that knows nothing of the hosts finds: Kafka's own, which reads what is committed.
import { runTool } from '../test/support/kafka/tool.js'
import {
  type Counted,
  type Event,
  type Limit,
  type Setting,
  type Summed,
  type Total,
  topics,
} from './functions.js'
import type { Found, Streams, Tables } from './oracle.js'

type Value = Event | Setting | Total | Counted | Summed | Limit

/** After the last record, and before the first. */
const idleMs = 8_000

export async function consumed(
  address: string,
  namespace: string,
): Promise<{ readonly streams: Streams; readonly changelogs: Tables }> {
  const printed = await runTool(address, 'kafka-console-consumer', [
    ...['--include', `${namespace}(${topics.join('|')})`, '--from-beginning'],
    ...['--timeout-ms', String(idleMs)],
    ...['--consumer-property', 'isolation.level=read_committed'],
    ...['partition', 'offset', 'key'].flatMap((part) => ['--property', `print.${part}=true`]),
  ])
  return sorted(printed.split('\n').flatMap(parsed))
}

/** Lines as `Partition:3\tOffset:17\tkey\tvalue`. */
function parsed(line: string): Found<Value>[] {
  const match = /^Partition:(\d+)\tOffset:(\d+)\t([^\t]*)\t(\{.*\})$/.exec(line)
  if (match === null) return []
  const [, partition, offset, key = '', value = ''] = match
  return [{ partition: Number(partition), offset: Number(offset), key, value: JSON.parse(value) }]
}

function sorted(all: readonly Found<Value>[]): { streams: Streams; changelogs: Tables } {
  const of = <Is extends Value['is']>(is: Is) =>
    all.filter((one): one is Found<Extract<Value, { is: Is }>> => one.value.is === is)
  const newest = <V>(found: readonly Found<V>[]) =>
    new Map(found.map(({ key, value }) => [key, value]))
  return {
    streams: { events: of('event'), settings: of('setting'), totals: of('total') },
    changelogs: {
      count: newest(of('count')),
      sum: newest(of('sum')),
      limits: newest(of('limit')),
    },
  }
}
