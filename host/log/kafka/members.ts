// As what this host is in its groups: kept by the main thread, asked for by the others when they open a writer.
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { MemberNotes } from './member-notes.js'
import type { GroupMember } from './requests/transaction.js'

type Question = { readonly id: number; readonly group: string }
type Answer = { readonly id: number; readonly member: Known }

/** Null: it was a member, and is none for now. Undefined: it has never been one. */
export type Known = GroupMember | null | undefined

export interface Members {
  of(group: string): Promise<Known>
  /** For a further thread. */
  split(): MessagePort
  close(): void
}

/** What a member tells of itself. */
export interface OwnPlace {
  /** As soon as it has a place in the group. */
  joining(member: string): void
  /** Before anybody is told of the assignment; null: of its loss. */
  set(member: GroupMember | null): void
  /** It has left it of its own will. */
  forget(): void
}

/** Where the groups are joined. */
export class OwnMembers implements Members {
  readonly #members = new Map<string, GroupMember | null>()
  readonly #places = new Map<string, OwnPlace>()
  readonly #ports = new Set<MessagePort>()
  readonly #notes: MemberNotes | undefined

  /** `file`: keeps as what it is in its groups, for the process after it. */
  constructor(file?: string) {
    this.#notes = file === undefined ? undefined : new MemberNotes(file)
  }

  /** As what a process before this one was in the group, when it died: nobody is that any more. Told once. */
  former(group: string): string | undefined {
    return this.#notes?.take(group)
  }

  /** For one that joins the group: what one before it tells from then on is not heard any more. */
  place(group: string): OwnPlace {
    const tell = (what: () => void) => {
      if (this.#places.get(group) === place) what()
    }
    const place: OwnPlace = {
      joining: (member) => tell(() => this.#notes?.put(group, member)),
      set: (member) => tell(() => this.#members.set(group, member)),
      forget: () =>
        tell(() => {
          this.#members.delete(group)
          this.#notes?.drop(group)
        }),
    }
    this.#places.set(group, place)
    return place
  }

  async of(group: string): Promise<Known> {
    return this.#members.get(group)
  }

  split(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    this.#ports.add(port1)
    port1.on('message', ({ id, group }: Question) => {
      const answer: Answer = { id, member: this.#members.get(group) }
      port1.postMessage(answer)
    })
    port1.once('close', () => this.#ports.delete(port1))
    port1.unref()
    return port2
  }

  close(): void {
    for (const port of this.#ports) port.close()
    this.#ports.clear()
  }
}

/** In a thread that has been given a port. */
export class AskedMembers implements Members {
  readonly #port: MessagePort
  readonly #waiting = new Map<number, (member: Known) => void>()
  #lastId = 0
  #isClosed = false

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', ({ id, member }: Answer) => {
      this.#waiting.get(id)?.(member)
      this.#waiting.delete(id)
    })
    port.once('close', () => this.close())
    port.unref()
  }

  async of(group: string): Promise<Known> {
    if (this.#isClosed) return null
    return await new Promise<Known>((resolve) => {
      const question: Question = { id: ++this.#lastId, group }
      this.#waiting.set(question.id, resolve)
      this.#port.ref()
      this.#port.postMessage(question)
    }).finally(() => this.#port.unref())
  }

  split(): never {
    throw new TypeError('a log is shared by the thread that has opened it first')
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#port.close()
    for (const resolve of this.#waiting.values()) resolve(null)
    this.#waiting.clear()
  }
}
