// Stands between a port and who listens to it, and lets a test see what goes by.
import { MessageChannel, type MessagePort, type TransferListItem } from 'node:worker_threads'

export interface RelayOptions<In, Out> {
  /** Before it is handed on to the listener. */
  inward(message: In): void
  /** Before it is handed on to the other side. */
  outward(message: Out): void
  /** What of a message that comes in has to be handed over, not copied. */
  transfer?(message: In): TransferListItem[]
}

/** The port to give to the listener. Either end's close closes the other. */
export function relay<In, Out>(outer: MessagePort, options: RelayOptions<In, Out>): MessagePort {
  const { port1, port2 } = new MessageChannel()
  outer.on('message', (message: In) => {
    options.inward(message)
    port1.postMessage(message, options.transfer?.(message) ?? [])
  })
  port1.on('message', (message: Out) => {
    options.outward(message)
    outer.postMessage(message)
  })
  outer.on('close', () => port1.close())
  port1.on('close', () => outer.close())
  return port2
}
