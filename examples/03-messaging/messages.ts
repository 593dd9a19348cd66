// What goes through the streams.

/** Under the key of its sender. */
export interface Sent {
  to: string
  content: string
}

/** Under the key of its receiver. */
export interface Received {
  from: string
  content: string
}

/** Under the key of whom it is about. */
export interface Block {
  blocked: boolean
}
