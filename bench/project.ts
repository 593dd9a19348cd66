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

export type Delivery = 'exactly-once' | 'at-least-once'

export interface CountOptions {
  /** A further field of its values. */
  readonly extra?: string
  /** Another one begins anew. */
  readonly revision?: number
  /** Logs `firstRecord` with its time, `at`, in milliseconds since 1970. */
  readonly tellsFirst?: boolean
  /** Emits each count, too. */
  readonly passesOn?: Delivery
}

export const firstRecord = 'first record'

const tellFirst = `
      if (isFirst) ctx.log.info('${firstRecord}', { at: Date.now() })
      isFirst = false`

const outputs = (delivery: Delivery): string => `
  outputs: { counted: json<{ page: string; count: number }>() },
  delivery: '${delivery}',`

const passOn = `
      ctx.emit('counted', ctx.key, { page: click.page, count: (ctx.get()?.count ?? 0) + 1 })`

/** Counts the clicks of each key. */
export const countFunction = ({
  extra = '',
  revision = 1,
  tellsFirst = false,
  passesOn,
}: CountOptions = {}): string => `
import { defineProcessor, json } from 'millrace'
${tellsFirst ? 'let isFirst = true' : ''}
export default defineProcessor({
  revision: ${revision},
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),${passesOn === undefined ? '' : outputs(passesOn)}
  on: {
    clicks(ctx, click) {${tellsFirst ? tellFirst : ''}${passesOn === undefined ? '' : passOn}
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
