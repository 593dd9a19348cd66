// Compiles every TypeScript file of the product to dist/, one file to one file, and what tests start as processes and threads of
// their own; `--tests`: the tests, too. `npm run types` checks the types. What a thread begins with is one file with all that it imports of the product:
// it starts in half the time, and each function, each save and each restart start one.
import { chmod, readdir, rm } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { build } from 'esbuild'
import { folders, markBuilt } from './is-built.mjs'

const begun = new Date()

const root = join(import.meta.dirname, '..')

const threads = [
  'host/functions/worker.ts',
  'host/functions/probe-thread.ts',
  'host/http/gate-thread.ts',
  'host/log/embedded/thread.ts',
  'test/support/crash/function-thread.ts',
  'test/support/crash/log-thread.ts',
].map((name) => join(root, name))

const tests = process.argv.includes('--tests') ? ['functions', 'test', 'test-kafka'] : []
const found = await Promise.all(
  [...folders, ...tests].map(async (folder) =>
    (await readdir(join(root, folder), { recursive: true }))
      .filter((name) => name.endsWith('.ts') && !/functions\/node_modules|^fixtures\//.test(name))
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
// As package.json maps it, to the sources: what it maps to is being written.
const ownFiles = {
  name: 'own files',
  setup({ onResolve }) {
    onResolve({ filter: /^#host\// }, ({ path }) => ({
      path: join(root, path.slice(1).replace(/\.js$/, '.ts')),
    }))
  },
}
/** Beside each thread's file, what it loads only if it needs it: Kafka's log. */
const partsBeside = (entry) => `${relative(root, entry).split(sep)[0]}/parts`
const buildThread = (entry) =>
  build({
    ...settings,
    entryPoints: [entry],
    bundle: true,
    packages: 'external',
    plugins: [ownFiles],
    splitting: true,
    chunkNames: `${partsBeside(entry)}/[name]-[hash]`,
    metafile: true,
  })
const [, ...built] = await Promise.all([
  build({
    ...settings,
    entryPoints: [...new Set(found.flat())].filter((name) => !threads.includes(name)),
  }),
  ...threads.map(buildThread),
])

// Those of earlier builds.
const needed = new Set(built.flatMap(({ metafile }) => Object.keys(metafile.outputs)))
for (const folder of new Set(threads.map(partsBeside))) {
  for (const name of await readdir(join(root, 'dist', folder))) {
    const path = `dist/${folder}/${name}`
    if (!needed.has(path)) await rm(join(root, path), { force: true })
  }
}

await chmod(join(root, 'dist/host/main.js'), 0o755).catch(() => {})
await markBuilt(begun)
