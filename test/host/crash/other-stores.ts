// Functions of the crash tests whose tables lie elsewhere than in LevelDB.
import { join } from 'node:path'

export type OtherStore = 'memory' | 'journal'

const journal = join(process.cwd(), 'examples/07-store/journal.ts')

/** The source of a function, with another store. */
export function keptIn(store: OtherStore | undefined, source: string): string {
  if (store === undefined) return source
  const value = store === 'memory' ? `'memory'` : store
  return `import { journal } from ${JSON.stringify(journal)}
${source.replace('defineProcessor({', `defineProcessor({\n  store: ${value},`)}`
}
