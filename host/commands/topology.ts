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
  const hasLoop = topology.functions.some(({ loop }) => loop)
  const legend = [
    '[function]',
    ...(hasTable ? ['▤ keeps the table of its name'] : []),
    ...(hasLoop ? ['↺ sends to itself'] : []),
    ...(drawing.includes('⇠') ? ['⇠ from a stream further on'] : []),
  ]
  return `${drawing}\n\n${styled('dim', legend.join('   '))}`
}
