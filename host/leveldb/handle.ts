// How each handle of a database is opened, that of the log and those of tables.

/** What LevelDB may take of memory. Of a database that is shared between threads only the first handle's figures count. */
export interface LevelMemory {
  /** Default 16 MiB; up to two of these. */
  readonly writeBufferBytes?: number | undefined
  /** Of uncompressed blocks. Default 16 MiB. */
  readonly blockCacheBytes?: number | undefined
}

// A flush of a busy function is some hundred kilobytes: fewer, larger tables cost less compaction.
const defaultBytes = 16 * 1024 * 1024

export const handleOptions = ({
  writeBufferBytes = defaultBytes,
  blockCacheBytes = defaultBytes,
}: LevelMemory) => ({
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  multithreading: true,
  cacheSize: blockCacheBytes,
  writeBufferSize: writeBufferBytes,
})
