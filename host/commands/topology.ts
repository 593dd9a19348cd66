// The command `topology`: how streams, functions and tables hang together, drawn in text.
import type { Command } from 'commander'
import type { Topology } from '../functions/catalog.js'
import { type HostFlags, hostClient, hostOptions } from './option.js'
import { styled, writeJson, writeText } from './output.js'
import { drawTopology } from './topology-drawing.js'

export function addTopology(program: Command): void {
  const command = program
    .command('topology')
    .description('draw how streams, functions and tables hang together')
  hostOptions(command)
    .addHelpText('after', '\nExample:\n  $ millrace topology')
    .action(async (flags: HostFlags) => {
      using client = hostClient(flags)
      const topology = await client.json<Topology>({ method: 'GET', path: '/topology' })
      if (flags.json) writeJson(topology)
      else writeText(shown(topology))
    })
}

function shown(topology: Topology): string {
  const drawing = drawTopology(topology)
  if (drawing === '') return 'no function is there: make one with millrace new NAME'
  const hasTable = topology.functions.some(({ table }) => table !== null)
  const hasRead = topology.functions.some(({ joins, lookups }) => joins.length + lookups.length > 0)
  const hasLoop = topology.functions.some(({ loop }) => loop)
  const legend = [
    '[function]',
    ...(hasTable ? ['▤ keeps the table of its name'] : []),
    ...(hasRead ? ['⋈ joins or looks up these tables'] : []),
    ...(hasLoop ? ['↺ sends to itself'] : []),
    ...(drawing.includes('⇠') ? ['⇠ from a stream further on'] : []),
  ]
  const places = placesOf(topology)
  return [drawing, '', styled('dim', legend.join('   ')), ...places].join('\n')
}

/** Of what does not lie where its name says, or is not placed as Kafka's own clients place it. */
function placesOf({ streams, tables }: Topology): string[] {
  // The namespace is before the name, and a table's topic ends with this.
  const lines = (what: string, topics: Topology['streams'], ending: string) =>
    topics.flatMap(({ name, topic, hasher }) => {
      const lies = topic.endsWith(name + ending) ? '' : ` lies in ${topic}`
      const by = hasher === 'murmur2' ? '' : ` has its keys placed by ${hasher}`
      const said = [lies, by].filter((text) => text !== '').join(' and')
      return said === '' ? [] : [styled('dim', `${what} ${name}${said}`)]
    })
  return [...lines('stream', streams, ''), ...lines('table', tables, '-table')]
}
