// Compiles every TypeScript file of the product to dist/, one file to one file, and what tests start as processes and threads of
// their own; `npm run types` checks the types.
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const folders = ['sdk', 'host', 'examples', 'bench', 'test/support/crash']

const found = await Promise.all(
  folders.map(async (folder) =>
    (await readdir(join(root, folder), { recursive: true }))
      .filter((name) => name.endsWith('.ts') && !name.includes('functions/node_modules'))
      .map((name) => join(root, folder, name)),
  ),
)

await build({
  absWorkingDir: root,
  entryPoints: found.flat(),
  outdir: join(root, 'dist'),
  outbase: root,
  bundle: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
})

await chmod(join(root, 'dist/host/main.js'), 0o755).catch(() => {})
