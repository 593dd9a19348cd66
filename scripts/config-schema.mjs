// Writes host.config.schema.json from the configuration's schema; run it after a change of host/config-schema.ts.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import './build.mjs'

const { configJsonSchema } = await import('../dist/host/config-schema.js')
const file = join(import.meta.dirname, '..', 'host.config.schema.json')
await writeFile(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
