// The command `get`: a value of a table, or its entries in key order.
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { HostError } from '../errors.js'
import {
  count,
  type HostFlags,
  hostClient,
  hostOptions,
  nonEmpty,
  positive,
  several,
} from './option.js'
import { endQuietlyOnClosedPipe, writeText } from './output.js'

interface GetFlags extends HostFlags {
  readonly after?: readonly string[]
  readonly timeout?: number
  readonly prefix?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: number
  readonly stale?: boolean
}

export function addGet(program: Command): void {
  const command = program
    .command('get')
    .description('print the value of a key as JSON, or all entries of a table as NDJSON')
    .argument('<table>')
    .argument('[key]')
    .option('--after <token>', 'wait until the table has the emit of this token', several)
    .option('--timeout <ms>', 'how long to wait for --after', count)
    .option('--stale', 'what is there while the table recovers')
    .option('--prefix <text>', 'entries whose key begins with it', nonEmpty)
    .option('--from <key>', 'entries from this key on', nonEmpty)
    .option('--to <key>', 'entries before this key', nonEmpty)
    .option('--limit <n>', 'at most so many entries', positive)
  hostOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ millrace get click-count alice
  $ millrace get click-count alice --after "$(millrace emit clicks alice '{}' --json | jq -r .token)"
  $ millrace get click-count --prefix a --limit 10`,
    )
    .action(async (table: string, key: string | undefined, flags: GetFlags) => {
      const isRange =
        (flags.prefix ?? flags.from ?? flags.to) !== undefined || flags.limit !== undefined
      if (key !== undefined && isRange) {
        command.error('error: --prefix, --from, --to and --limit are for a table without a key')
      }
      await get(table, key, flags)
    })
}

async function get(table: string, key: string | undefined, flags: GetFlags): Promise<void> {
  endQuietlyOnClosedPipe()
  using client = hostClient(flags)
  const query = queryOf(flags)
  const path = `/views/${encodeURIComponent(table)}`
  if (key !== undefined) {
    writeText(
      await client.text({
        method: 'GET',
        path: `${path}/${encodeURIComponent(key)}${query}`,
        // Bytes, too, come as JSON: base64.
        headers: { accept: 'application/json' },
      }),
    )
    return
  }
  const headers = { accept: 'application/x-ndjson' }
  const lines = await client.open({ method: 'GET', path: path + query, headers })
  try {
    await pipeline(lines, process.stdout, { end: false })
  } catch (cause) {
    throw new HostError(
      'ANSWER_LOST',
      `the host broke off: what was printed is not all of ${table}; its log says why`,
      { cause },
    )
  }
}

function queryOf(flags: GetFlags): string {
  const query = new URLSearchParams()
  for (const token of flags.after ?? []) query.append('after', token)
  for (const name of ['prefix', 'from', 'to', 'limit'] as const) {
    const value = flags[name]
    if (value !== undefined) query.append(name, String(value))
  }
  if (flags.timeout !== undefined) query.append('timeoutMs', String(flags.timeout))
  if (flags.stale) query.append('stale', 'ok')
  // A plus is a plus to the host's parser or a space: percent-encoded it is a space to every one.
  const text = query.toString().replaceAll('+', '%20')
  return text === '' ? '' : `?${text}`
}
