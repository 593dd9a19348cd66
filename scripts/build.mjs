// Compiles every TypeScript file of the product to dist/, one file to one file, and what tests start as processes and threads of
// their own; `npm run types` checks the types. What a thread begins with is one file with all that it imports of the product:
// it starts in half the time, and each function, each save and each restart start one.
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const folders = ['sdk', 'host', 'examples', 'bench', 'test/support/crash', 'test/support/kafka']

const threads = [
  'host/functions/worker.ts',
  'host/functions/probe-thread.ts',
  'host/http/gate-thread.ts',
  'host/log/embedded/thread.ts',
].map((name) => join(root, name))

const found = await Promise.all(
  folders.map(async (folder) =>
    (await readdir(join(root, folder), { recursive: true }))
      .filter((name) => name.endsWith('.ts') && !name.includes('functions/node_modules'))
      .map((name) => join(root, folder, name)),
  ),
)

const settings = {
  absWorkingDir: root,
  outdir: join(root, 'dist'),
  outbase: root,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
}
await Promise.all([
  build({ ...settings, entryPoints: found.flat().filter((name) => !threads.includes(name)) }),
  build({ ...settings, entryPoints: threads, bundle: true, packages: 'external' }),
])

await chmod(join(root, 'dist/host/main.js'), 0o755).catch(() => {})
