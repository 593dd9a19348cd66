// Says which function files came, went or changed, be it in themselves or in a file that they import.
import { readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import type { FSWatcher } from 'chokidar'
import { isFunctionFile } from './bundle.js'

/** Function files, absolute, each in one list at most. */
export interface FunctionChanges {
  readonly added: readonly string[]
  /** The file itself, or one of its inputs. */
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

export interface WatchOptions {
  /** Only files directly in it are functions. It need not exist (yet), and may go and come back. */
  readonly folder: string
  /** From the first sign of a change until the files are looked at. Default: 25. */
  readonly debounceMs?: number
  onChange(changes: FunctionChanges): void
  /** The operating system refuses to watch. Without it the watcher goes on with what it can see. */
  onError?(error: unknown): void
}

export interface FunctionsWatch extends AsyncDisposable {
  /** The function files as they were last seen, in the order of their names. */
  readonly files: readonly string[]
  /**
   * Names the files that went into a function's bundle, in place of those named before; call it as soon as the bundle is
   * built, for changes count from then. None: they are watched no more.
   */
  setInputs(file: string, inputs: readonly string[]): void
}

/** Resolves when it watches. */
export async function watchFunctions(options: WatchOptions): Promise<FunctionsWatch> {
  const watcher = new Watcher(options)
  await watcher.start()
  return watcher
}

/** File → change time, size and inode; a file that is not there is absent. */
type Stamps = ReadonlyMap<string, string>

/**
 * Signs of life come from chokidar, which watches folders only; what has changed is told by comparing. chokidar's own account
 * of files loses those that are deleted and made anew, and a folder that another was renamed over.
 */
class Watcher implements FunctionsWatch {
  readonly #folder: string
  readonly #debounceMs: number
  readonly #options: WatchOptions
  readonly #inputs = new Map<string, ReadonlySet<string>>()
  /** Of each watched folder, the inode that is watched. */
  readonly #folders = new Map<string, string | undefined>()
  #chokidar: FSWatcher | undefined
  #functions: Stamps = new Map()
  #others: Map<string, string> = new Map()
  #timer: NodeJS.Timeout | undefined
  #scan: Promise<void> = Promise.resolve()
  #isStarted = false
  #isClosed = false

  constructor(options: WatchOptions) {
    this.#options = options
    this.#folder = resolve(options.folder)
    this.#debounceMs = options.debounceMs ?? 25
  }

  get files(): readonly string[] {
    return [...this.#functions.keys()].sort()
  }

  async start(): Promise<void> {
    // Here: a host that follows nothing starts without it.
    const { watch } = await import('chokidar')
    if (this.#isClosed) return
    const chokidar = watch([], {
      depth: 0,
      ignored: (path) => !this.#folders.has(resolve(path)),
    })
    this.#chokidar = chokidar
    chokidar.on('all', () => this.#look())
    chokidar.on('raw', () => this.#look())
    chokidar.on('error', (error) => this.#options.onError?.(error))
    const ready = new Promise<void>((resolve) => chokidar.once('ready', resolve))
    await this.#watchFolders()
    await ready
    this.#functions = await this.#functionFiles()
    this.#isStarted = true
    // For what changed while these were read.
    this.#look()
  }

  setInputs(file: string, inputs: readonly string[]): void {
    if (inputs.length === 0) this.#inputs.delete(file)
    else this.#inputs.set(file, new Set(inputs.map((input) => resolve(input))))
    // Behind a scan that is under way, which still compares with the old set.
    this.#enqueue(async () => {
      const wanted = this.#otherFiles()
      for (const known of this.#others.keys()) if (!wanted.has(known)) this.#others.delete(known)
      const added = await stampsOf([...wanted].filter((input) => !this.#others.has(input)))
      for (const input of wanted) {
        if (!this.#others.has(input)) this.#others.set(input, added.get(input) ?? '')
      }
      await this.#watchFolders()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#scan
    await this.#chokidar?.close()
  }

  #look(): void {
    if (!this.#isStarted || this.#isClosed || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#enqueue(() => this.#compare())
    }, this.#debounceMs)
  }

  #enqueue(work: () => Promise<void>): void {
    this.#scan = this.#scan
      .then(() => (this.#isClosed ? undefined : work()))
      .catch((error: unknown) => this.#options.onError?.(error))
  }

  async #compare(): Promise<void> {
    // First, so that what changes from here on gives a new sign.
    await this.#watchFolders()
    const functions = await this.#functionFiles()
    const others = await stampsOf([...this.#others.keys()])
    if (this.#isClosed) return

    const before = this.#functions
    const touched = new Set<string>()
    for (const [input, stamp] of this.#others) {
      const now = others.get(input) ?? ''
      if (now !== stamp) touched.add(input)
      this.#others.set(input, now)
    }
    this.#functions = functions
    const isChanged = (file: string) =>
      before.has(file) &&
      (before.get(file) !== functions.get(file) ||
        [...(this.#inputs.get(file) ?? [])].some((input) => touched.has(input)))
    const files = this.files
    const changes: FunctionChanges = {
      added: files.filter((file) => !before.has(file)),
      changed: files.filter(isChanged),
      removed: [...before.keys()].filter((file) => !functions.has(file)).sort(),
    }
    if (Object.values(changes).some((list) => list.length > 0)) this.#options.onChange(changes)
  }

  async #functionFiles(): Promise<Stamps> {
    const names = await readdir(this.#folder).catch((): string[] => [])
    return stampsOf(names.map((name) => join(this.#folder, name)).filter(isFunctionFile))
  }

  /** A function's own file is known from its folder. */
  #otherFiles(): Set<string> {
    const all = [...this.#inputs].flatMap(([file, inputs]) =>
      [...inputs].filter((input) => input !== file),
    )
    return new Set(all)
  }

  /** Watches what is not watched yet, and anew what has been deleted or replaced. */
  async #watchFolders(): Promise<void> {
    const wanted = new Set(this.#ancestors(this.#folder))
    for (const input of this.#others.keys()) {
      for (const folder of this.#ancestors(dirname(input))) wanted.add(folder)
    }
    for (const folder of this.#folders.keys()) {
      if (wanted.has(folder)) continue
      this.#folders.delete(folder)
      this.#chokidar?.unwatch(folder)
    }
    await Promise.all(
      [...wanted].map(async (folder) => {
        const inode = await stat(folder, { bigint: true }).then(
          ({ dev, ino }) => `${dev} ${ino}`,
          () => undefined,
        )
        if (this.#folders.has(folder) && this.#folders.get(folder) === inode) return
        if (this.#folders.has(folder)) this.#chokidar?.unwatch(folder)
        this.#folders.set(folder, inode)
        if (inode !== undefined && !this.#isClosed) this.#chokidar?.add(folder)
      }),
    )
  }

  /** The folder and those above it, up to the project's; elsewhere one above it: there a folder shows that it comes back. */
  #ancestors(folder: string): string[] {
    const root = dirname(this.#folder)
    if (folder === root) return [root]
    if (!folder.startsWith(root + sep)) return [folder, dirname(folder)]
    return [folder, ...this.#ancestors(dirname(folder))]
  }
}

async function stampsOf(files: readonly string[]): Promise<Stamps> {
  const stamps = await Promise.all(
    files.map(async (file): Promise<[string, string][]> => {
      const found = await stat(file, { bigint: true }).catch(() => undefined)
      return found?.isFile() ? [[file, `${found.ctimeNs} ${found.size} ${found.ino}`]] : []
    }),
  )
  return new Map(stamps.flat())
}
