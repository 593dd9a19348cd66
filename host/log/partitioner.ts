// Which partition a key belongs to: the hash of Kafka's own clients, so that every producer agrees.

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Kafka's murmur2, as a signed 32-bit number. */
export function murmur2(key: Uint8Array): number {
  const length = key.length
  const whole = length & ~3
  let h = SEED ^ length
  for (let i = 0; i < whole; i += 4) {
    // The bytes exist: `?? 0` is for the compiler and costs nothing measurable.
    let k =
      (key[i] ?? 0) |
      ((key[i + 1] ?? 0) << 8) |
      ((key[i + 2] ?? 0) << 16) |
      ((key[i + 3] ?? 0) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const left = length - whole
  if (left === 3) h ^= (key[whole + 2] ?? 0) << 16
  if (left >= 2) h ^= (key[whole + 1] ?? 0) << 8
  if (left >= 1) h = Math.imul(h ^ (key[whole] ?? 0), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

/** The partition of a key, as Kafka's default partitioner chooses it. */
export const partitionOf = (key: Uint8Array, partitions: number): number =>
  (murmur2(key) & 0x7fffffff) % partitions
