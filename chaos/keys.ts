// The keys of events: as many of each partition.
import { partitionOf } from '#host/log/partitioner.js'
import { partitions } from './settings.js'

const ofEach = 4

export const keysByPartition: readonly (readonly string[])[] = (() => {
  const lists: string[][] = Array.from({ length: partitions }, () => [])
  for (let n = 0; lists.some(({ length }) => length < ofEach); n += 1) {
    const key = `k${n}`
    const list = lists[partitionOf(Buffer.from(key), partitions, 'murmur2')]
    if (list !== undefined && list.length < ofEach) list.push(key)
  }
  return lists
})()

export const allKeys = keysByPartition.flat()
