// A store of one's own in one file: each write is a line behind the others, and all of it is in memory, too.
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenStore, Store, StoreChange, StoreEntry, StoreRange } from 'millrace'

/** `store: journal` in a definition. */
export const journal: Store = {
  open: ({ folder }) => Journal.open(join(folder, 'journal')),
}

/** Key and value of each change in hexadecimal digits, whose order is that of the bytes. */
type Written = readonly (readonly [key: string, value: string | null])[]

class Journal implements OpenStore {
  readonly #file: FileHandle
  readonly #values = new Map<string, string>()

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async open(path: string): Promise<Journal> {
    const made = new Journal(await open(path, 'a+'))
    try {
      await made.#read()
    } catch (error) {
      await made.close()
      throw error
    }
    return made
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#values.get(toHex(key))
    return value === undefined ? undefined : Buffer.from(value, 'hex')
  }

  async write(changes: readonly StoreChange[]): Promise<void> {
    const written: Written = changes.map(([key, value]) => [toHex(key), value && toHex(value)])
    const text = JSON.stringify(written)
    await this.#file.appendFile(`${digest(text)} ${text}\n`)
    this.#apply(written)
  }

  range({ from, to, isReverse }: StoreRange): StoreEntry[] {
    const [first, end] = [toHex(from), toHex(to)]
    const keys = [...this.#values.keys()].filter((key) => key >= first && key < end).sort()
    if (isReverse) keys.reverse()
    return keys.map((key) => [
      Buffer.from(key, 'hex'),
      Buffer.from(this.#values.get(key) ?? '', 'hex'),
    ])
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /** What a death has left half written was not to be there: it is cut off, so that the next line is one. */
  async #read(): Promise<void> {
    const lines = (await this.#file.readFile('latin1')).split('\n')
    let bytes = 0
    for (const [index, line] of lines.slice(0, -1).entries()) {
      const text = line.slice(digestLength + 1)
      if (line.slice(0, digestLength) !== digest(text)) {
        throw Object.assign(new Error(`line ${index + 1} of the journal is not what was written`), {
          code: 'STORE_DAMAGED',
        })
      }
      this.#apply(JSON.parse(text))
      bytes += line.length + 1
    }
    await this.#file.truncate(bytes)
  }

  #apply(written: Written): void {
    for (const [key, value] of written) {
      if (value === null) this.#values.delete(key)
      else this.#values.set(key, value)
    }
  }
}

const digestLength = 16

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digestLength)

const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
