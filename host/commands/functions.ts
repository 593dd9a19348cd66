// The commands `functions`, `pause`, `resume` and `restart`: what runs, and what a person may have it do.
import type { Command } from 'commander'
import type { FunctionStatus } from '../functions/catalog.js'
import { type Operation, operations } from '../functions/operation.js'
import { type HostFlags, hostClient, hostOptions } from './option.js'
import { width, writeJson, writeText } from './output.js'

export function addFunctions(program: Command): void {
  const command = program
    .command('functions')
    .description('print the functions with state, lag and last error, or one in detail')
    .argument('[name]')
  hostOptions(command)
    .addHelpText('after', '\nExamples:\n  $ millrace functions\n  $ millrace functions click-count')
    .action(async (name: string | undefined, flags: HostFlags) => {
      using client = hostClient(flags)
      if (name !== undefined) {
        const path = `/functions/${encodeURIComponent(name)}`
        await show(await client.json<FunctionStatus>({ method: 'GET', path }), flags)
        return
      }
      const all = await client.json<{ functions: readonly FunctionStatus[] }>({
        method: 'GET',
        path: '/functions',
      })
      if (flags.json) writeJson(all)
      else {
        const { functionTable } = await functionText()
        writeText(functionTable(all.functions, width()))
      }
    })
}

const described: Readonly<Record<Operation, string>> = {
  pause: 'stop a function at a record boundary, flushed; it stays so',
  resume: 'let a function go on that was paused, or that has halted, at that record',
  restart: "end a function's thread, and start it anew from what is flushed",
}

export function addOperations(program: Command): void {
  for (const operation of operations) {
    const command = program
      .command(operation)
      .description(described[operation])
      .argument('<function>')
    hostOptions(command)
      .addHelpText('after', `\nExample:\n  $ millrace ${operation} click-count`)
      .action(async (name: string, flags: HostFlags) => {
        using client = hostClient(flags)
        const path = `/functions/${encodeURIComponent(name)}/${operation}`
        await show(await client.json<FunctionStatus>({ method: 'POST', path }), flags)
      })
  }
}

async function show(status: FunctionStatus, { json }: HostFlags): Promise<void> {
  if (json) writeJson(status)
  else writeText((await functionText()).functionDetail(status))
}

/** When it is needed: what a command draws with, the others start without. */
const functionText = () => import('./function-text.js')
