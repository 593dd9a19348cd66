// What the supervisor and the host that it has started say to each other.

/** Given to the host on its command line, as JSON. */
export interface SupervisedStart {
  /** Of the host before this one, should any free port have been asked for: clients know it by now. */
  readonly port?: number
}

/** Over the channel between the two processes. */
export type FromHost = { readonly kind: 'listening'; readonly port: number }
