// What comes in, and what the functions say to each other.
import { z } from 'zod'
import type { Evidence } from './verdict.js'

/** Under the key of the sender. */
export const post = z.object({ to: z.string().min(1).max(200), text: z.string().max(4_000) })

/** Of a text that one sender has sent to several, to the text itself: `FINGERPRINT/HOUR` is the key. */
export interface Repeat {
  sender: string
  /** Not yet told to this text. */
  to: string[]
  /** Of this sender: there is one for each sender and text. */
  isFirst: boolean
}

/** To a user, who is the key: what speaks against the user. */
export type Signal =
  | Evidence
  | {
      /** Of those who send one text: its key. */
      ring: string
      at: number
      /** Another member. Absent for the first one. */
      link?: string
    }

/** Between members of a ring. */
export interface Whisper {
  ring: string
  at: number
  from: string
  /** Some member of the ring is blocked. */
  isExposed: boolean
}
