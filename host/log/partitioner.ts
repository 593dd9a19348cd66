// Which partition a key belongs to: by the hash of Kafka's own clients, or by that of Goka, as the topic has it.
import type { Hasher } from '../../sdk/topic.js'

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

/** FNV-1a of 32 bits, as a signed number. */
export function fnv1a(key: Uint8Array): number {
  let h = 0x811c9dc5
  for (const byte of key) h = Math.imul(h ^ byte, 0x01000193)
  return h | 0
}

/**
 * The partition of a key: by `murmur2` as Kafka's default partitioner chooses it, by `fnv1a` as Goka's producers do. Those drop the
 * sign of the remainder, which for −2³¹, too, is a partition; a Goka view drops that of the hash, which −2³¹ keeps.
 */
export function partitionOf(key: Uint8Array, partitions: number, hasher: Hasher): number {
  // No 32-bit number here: 2³¹ has a place.
  if (hasher === 'fnv1a') return Math.abs(fnv1a(key)) % partitions
  return (murmur2(key) & 0x7fffffff) % partitions
}
