// Which texts are the same text, whatever was changed to make them look different.
import { createHash } from 'node:crypto'

/** In letters: shorter ones are said by everybody. */
const shortest = 16

/** Of the letters alone, without case, accents, digits, signs and what cannot be seen. Absent: too short to tell anything. */
export function fingerprint(text: string): string | undefined {
  const letters = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}]/gu, '')
  if (letters.length < shortest) return undefined
  // 72 bits: of a billion texts no two are taken for one.
  return createHash('sha256').update(letters).digest('base64url').slice(0, 12)
}
