// What one thread can do at best with the same events: read them packed from LevelDB, parse each, count in a Map.
import { ClassicLevel } from 'classic-level'
import { chunks, type Event } from './events.js'

const recordsPerEntry = 1000

export async function packEvents(path: string, events: Iterable<Event>): Promise<void> {
  await using db = new ClassicLevel<Buffer, Buffer>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  let entry = 0
  for (const chunk of chunks(events, recordsPerEntry)) {
    const key = Buffer.alloc(4)
    key.writeUInt32BE(entry)
    entry += 1
    await db.put(key, Buffer.concat(chunk.flatMap(({ key, value }) => [sized(key), sized(value)])))
  }
}

/** Events a second. */
export async function countFloor(path: string): Promise<number> {
  const began = performance.now()
  await using db = new ClassicLevel<Buffer, Buffer>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })
  const counts = new Map<string, number>()
  let events = 0
  for await (const packed of db.values()) {
    for (let at = 0; at < packed.length; events += 1) {
      const keyEnd = at + 4 + packed.readUInt32BE(at)
      const key = packed.toString('utf8', at + 4, keyEnd)
      at = keyEnd + 4 + packed.readUInt32BE(keyEnd)
      JSON.parse(packed.toString('utf8', keyEnd + 4, at))
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  return (events * 1000) / (performance.now() - began)
}

function sized(text: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text))
  bytes.writeUInt32BE(bytes.length - 4)
  bytes.write(text, 4)
  return bytes
}
