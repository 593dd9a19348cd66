// The host's own figures beside those of its peers: what a function that counts may be.
import { countFunction } from '../project.js'

export interface Host {
  readonly name: string
  /** The text of the function that counts. */
  readonly text: string
}

export const hosts: readonly Host[] = [
  { name: 'exactly-once', text: countFunction({ tellsFirst: true }) },
]
