// Packages with native code are left out of a bundle: what they load is found by where their own files lie.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Plugin } from 'esbuild'
import { isObject } from '../object.js'

/** What such packages find their binary by. */
const finders = [
  'bindings',
  'node-gyp-build',
  'node-gyp-build-optional-packages',
  'prebuild-install',
  'pkg-prebuilds',
  '@mapbox/node-pre-gyp',
]
const binaries = ['binding.gyp', 'prebuilds']

/** Such a package is required at run time, from where it was found. */
export const nativePackages: Plugin = {
  name: 'native packages',
  setup({ onResolve, resolve }) {
    const known = new Map<string, Promise<boolean>>()
    onResolve({ filter: /^[^./]/ }, async ({ path, resolveDir, importer, pluginData }) => {
      if (pluginData === nativePackages || path.startsWith('node:') || resolveDir === '')
        return null
      // As `require` finds it, which is how it will be loaded.
      const asked = {
        resolveDir,
        importer,
        kind: 'require-call',
        pluginData: nativePackages,
      } as const
      const found = await resolve(path, asked)
      if (found.errors.length > 0 || found.external) return null
      const folder = packageFolder(found.path)
      if (folder === undefined) return null
      const isKnown = known.get(folder) ?? isNative(folder)
      known.set(folder, isKnown)
      return (await isKnown) ? { path: found.path, external: true } : null
    })
  },
}

/** Of a file in a package. */
function packageFolder(file: string): string | undefined {
  return /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/.exec(file)?.[0]
}

async function isNative(folder: string): Promise<boolean> {
  const found = await Promise.all(
    binaries.map((name) =>
      stat(join(folder, name)).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (found.includes(true)) return true
  const manifest = await readFile(join(folder, 'package.json'), 'utf8').then((text): unknown =>
    JSON.parse(text),
  )
  const dependencies = isObject(manifest) ? manifest.dependencies : undefined
  return isObject(dependencies) && finders.some((name) => Object.hasOwn(dependencies, name))
}
