// A user's folder with functions, made for one figure.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** `functions`: the text of each, by name. */
export async function makeProject(
  root: string,
  functions: Readonly<Record<string, string>>,
): Promise<string> {
  await mkdir(join(root, 'functions'), { recursive: true })
  for (const [name, text] of Object.entries(functions)) await saveFunction(root, name, text)
  return root
}

/** As editors do it: the file is whole at any time. */
export async function saveFunction(root: string, name: string, text: string): Promise<void> {
  const file = join(root, 'functions', `${name}.ts`)
  await writeFile(`${file}.saving`, text)
  await rename(`${file}.saving`, file)
}

/** Counts the clicks of each key; `extra` is a further field of its values. Another `revision` begins anew. */
export const countFunction = (extra = '', revision = 1): string => `
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  revision: ${revision},
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),
  on: {
    clicks(ctx, click) {
      ctx.set({ count: (ctx.get()?.count ?? 0) + 1${extra} })
    },
  },
})
`

/** Declares the stream without reading it, so that input can be loaded before anything counts. */
export const feederFunction = `
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { 'nothing-yet': json() },
  outputs: { clicks: json<{ page: string }>() },
  on: { 'nothing-yet'() {} },
})
`
