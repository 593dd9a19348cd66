// The log port: what the host asks of a log. The adapters (embedded, memory, Kafka) pass one conformance suite.
import type { TransferListItem } from 'node:worker_threads'
import type { Hasher } from '../../sdk/topic.js'
import type { HostError } from '../errors.js'

/** A stream is kept for a time; a table keeps the last record of each key (compacted). */
export type TopicKind = 'stream' | 'table'

export interface TopicSpec {
  readonly name: string
  readonly kind: TopicKind
  readonly partitions: number
  /** Copies of each partition; an adapter on one machine ignores it. */
  readonly replication?: number
  /** Streams only. Absent: the log's own default; −1: for ever. */
  readonly retentionMs?: number
}

export interface PartitionInfo {
  readonly partition: number
  /** Rises whenever the log's end may have been cut: a position of an older epoch has to be checked. */
  readonly leaderEpoch: number
  /** The first offset that can still be read. */
  readonly oldest: number
  /** The position behind the last record that is decided: no open transaction lies below it. */
  readonly stableEnd: number
  /**
   * The position behind the last record, decided or not: who has passed it has passed all that was acknowledged before this was asked
   * for. Unless who told it does not lead any more, and has not heard so: `Commit.behind` tells then.
   */
  readonly end: number
}

export interface TopicInfo {
  readonly name: string
  /** Another id under the same name means: deleted and made anew. */
  readonly id: string
  readonly kind: TopicKind
  /** Of a table that keeps deletions for a time of its own; absent: for the log's. */
  readonly tombstoneRetentionMs?: number
  /** In partition order, without gaps. */
  readonly partitions: readonly PartitionInfo[]
}

export type Header = readonly [name: string, value: Buffer]

export interface LogRecord {
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: Buffer | null
  /** `null` is a tombstone. Made at each call, perhaps, as the key is. */
  readonly value: Buffer | null
  readonly headers: readonly Header[]
  readonly isTombstone: boolean
  /** Of the value. */
  readonly valueBytes: number
  /** The key as UTF-8, with U+FFFD for what is none; empty if there is no key. Without a buffer on the way. */
  keyText(): string
  /** So too the value; empty for a tombstone. */
  valueText(): string
}

export interface RecordToAppend {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers?: readonly Header[]
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface Position extends TopicPartition {
  /** The offset of the next record to read. Never computed by adding to an offset: offsets have gaps. */
  readonly offset: number
  /** Of what was read last before it; absent: not known. A log that was cut below and written anew is told by it (`whereCut`). */
  readonly leaderEpoch?: number
}

/** What a reader read of one partition. `records` may be empty: only gaps or markers were passed. */
export interface Batch extends TopicPartition {
  /** The position before it: the `next` of the batch before, or what was assigned. */
  readonly from: number
  readonly records: readonly LogRecord[]
  /** Where to go on: behind the records, and behind gaps and markers that follow them. */
  readonly next: number
  /** Of all of it: another epoch begins another batch. Absent: nothing is ever cut, or it is not known. */
  readonly leaderEpoch?: number
  /** The stable end as it was known when this was read; `next >= stableEnd` means: read to its end. */
  readonly stableEnd: number
}

/** Reads committed records only, in offset order of each partition. Not for use by two callers at once. */
export interface ReaderOptions {
  /** What it hands out at a time. */
  readonly maxBytes?: number
  /** It is to read what there is, and does not wait for more: a log may have it share what it reads by. Default: false. */
  readonly isBrief?: boolean
  /** Those that it is to read: the way to them may be made before it is. */
  readonly topics?: readonly string[]
}

export interface LogReader extends AsyncDisposable {
  /** Replaces what is read, and from where. Takes effect with the next call of `next`. */
  assign(positions: readonly Position[]): void
  /** Leaves a partition out until it is resumed; its position is kept. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /**
   * Waits until at least one partition has something new (records, or gaps that move its position) and returns it, at
   * most about `maxBytes` of it. Woken at once by an append, by `assign`, `resume` and `wake`; an empty list when woken
   * for nothing or when closed. When only some partitions can be read it returns those, and rejects at the next call; positions
   * move for what it returns only. Rejects with OFFSET_OUT_OF_RANGE (with stream, partition, offset) for a position below the
   * oldest offset or above the end, UNKNOWN_TOPIC for a topic that is gone, LOG_DAMAGED for what cannot be read any more.
   */
  next(): Promise<readonly Batch[]>
  /** Ends a waiting `next` with an empty list. */
  wake(): void
}

/** What one flush moves, together or not at all. */
export interface Commit {
  /** Outputs, loop and changelog, in the order in which they have to lie in each partition. */
  readonly records: readonly RecordToAppend[]
  /**
   * The group's positions in its inputs (loop included) for this writer's partition. One in a topic that was made after the
   * writer was opened ends the commit as `unknown`, and nothing is written: it may be of the topic before.
   */
  readonly positions: readonly Position[]
  /**
   * Up to where partitions were read before the writer's first commit there, and under which leader they were said to end there. Should
   * the records come to lie elsewhere, under another leader, the commit ends as `unknown`, and nothing is written: what was read may
   * lack what was committed before. So, too, if it has no records there. A log that always tells of the present end does not look.
   */
  readonly behind?: readonly Position[]
}

export interface Committed {
  readonly kind: 'committed'
  /** For each partition written to, by `topic/partition`, the position behind the last record of this commit. */
  readonly next: ReadonlyMap<string, number>
  /** So too the offset of its first record there, where others may have led meanwhile, and cut what was there: then it goes back. */
  readonly first?: ReadonlyMap<string, number>
  /** That of its last record; one too low, should another leader have begun while it was sent. Absent: as in `Batch`. */
  readonly leaderEpochs?: ReadonlyMap<string, number>
}

export type CommitOutcome =
  | Committed
  /**
   * Nothing was written: the identical commit may be tried again. When `cause` is a HostError that is not retryable
   * (RECORD_TOO_LARGE; UNKNOWN_TOPIC, for an output), trying again is of no use.
   */
  | { readonly kind: 'failed'; readonly cause: Error }
  /** Written or not, nobody can tell: open the writer anew and trust the positions it returns. */
  | { readonly kind: 'unknown'; readonly cause: Error }
  /** Another writer was opened for the same group and partition. */
  | { readonly kind: 'fenced' }

/** The transactional writer of one (group, partition). One commit at a time. */
export interface LogWriter extends AsyncDisposable {
  /** The group's committed positions for this partition, as they were when the writer was opened; none: never committed. */
  readonly positions: readonly Position[]
  /** Never rejects: how it ended is in the outcome. A closed writer answers `fenced`. */
  commit(commit: Commit): Promise<CommitOutcome>
  /**
   * Its partition has stayed with this host while its group was shared out anew (`Assignment.kept`): from now on it writes as the
   * member that this host is now. Not while it commits. Rejects with FENCED when it is none. Absent: it is no matter.
   */
  renew?(): Promise<void>
}

export interface Assignment {
  /** Rises with each assignment of this member. */
  readonly epoch: number
  readonly partitions: readonly number[]
  /** Those of `partitions` that it has had since its assignment before: nobody else has written for them in between. */
  readonly kept: readonly number[]
  /** Partitions of others whose tables it is to keep a warm copy of. */
  readonly standbys: readonly number[]
  /** It gets none, since others have edges that are not its own: until they have gone, or have the same. */
  readonly refused?: Refusal
}

export interface Refusal {
  /** EDGES_DIFFER: what differs, and where. */
  readonly error: HostError
  /** By which the group runs; absent: those who run it have not told. */
  readonly edges?: GroupEdges
}

/**
 * What members have to agree on to share the partitions of their group: else what one has made of a partition is not what another goes
 * on with. Lists are in order.
 */
export interface GroupEdges {
  /** Topics, that of the loop among them. */
  readonly inputs: readonly string[]
  /** Topics of tables of others; with the hasher, where that is another. */
  readonly joins: readonly string[]
  readonly lookups: readonly string[]
  /** Its topic; null: there is none. */
  readonly table: string | null
  readonly hasher: Hasher
  readonly partitions: number
}

/** What a member runs. */
export interface GroupVersion {
  readonly edges: GroupEdges
  /** Since when it has had these edges, in ms since 1970. */
  readonly since: number
  /** Asked each time that it joins, for the others to show: that of its code, which may differ. */
  version(): string
}

/** A member of a group, as the one who shared the partitions out has told all of them. */
export interface GroupPeer {
  readonly instance: string
  /** Where it is reached; undefined: it did not say. */
  readonly address: string | undefined
  readonly partitions: readonly number[]
  readonly standbys: readonly number[]
  /** That it ran when they were shared out. Absent: it did not say. */
  readonly version?: string
  /** It gets none: its edges are not those by which the group runs. */
  readonly isRefused?: true
}

/** What a host would have to replay of a partition's table, in offsets of its changelog. */
export interface TableLack {
  /** To bring up the copy that is here; undefined: there is none that can be gone on with. */
  readonly behind: number | undefined
  /** Of a host that has nothing of it. */
  readonly all: number
}

export interface JoinOptions {
  readonly group: string
  /** Copartitioned: partition n of each goes to the same member. */
  readonly topics: readonly string[]
  /** Names this host to the others. */
  readonly instance: string
  /** Where the others reach it, as `http://host:port`. Absent: they do not. */
  readonly address?: string
  /** How many other members are to keep a warm copy of each partition's table. Default 0. */
  readonly standbys?: number
  /** Asked each time that it joins: partitions whose tables are here, at their end or nearly so. It rather gets these than others. */
  warm?(): readonly number[]
  /** Asked each time that it joins: by partition, also of those that it neither has nor copies. It rather gets those of which it lacks less. */
  lacks?(): Promise<readonly TableLack[]>
  /** Whether it would handle more at once: only then it asks for a part of what others have, when their tables are here. Absent: no. */
  isReady?(): boolean
  /** Absent: its topics alone tell whether others run the same. */
  readonly runs?: GroupVersion
  /** How many each of the topics has to have; another number: TOPIC_MISMATCH. Absent: any, as long as all have the same. */
  readonly partitions?: number
  /** Aborted: it is not to join any more. Joining, it then rejects soon and is no member. */
  readonly signal?: AbortSignal
  /**
   * Called before it asks to join for the first time, should there be others, which give up partitions for it: what takes its time is to
   * be made ready, and it asks when this resolves. Must not reject.
   */
  ready?(): Promise<void>
  /** Called with each new assignment, the first included. */
  assigned(assignment: Assignment): Promise<void>
  /** Called before partitions go; awaited: what it flushes still counts. Not called when membership was lost. */
  revoked(epoch: number): Promise<void>
  /** Membership was lost without a chance to drain: everything of this epoch is fenced. `why`: in words, of the log. */
  lost(epoch: number, why: string): void
  /** It has to join again, and cannot yet: it goes on trying. */
  failed?(error: HostError): void
  /** It has left: these stay, and find out when each of them asks next, or is told to ask (`Membership.heartbeat`). Must not reject. */
  left?(others: readonly GroupPeer[]): Promise<void>
}

/** Disposing leaves the group (after `revoked`). */
export interface Membership extends AsyncDisposable {
  /** Everybody in the group, itself included, and who has what, as far as is known. */
  members(): readonly GroupPeer[]
  /** False: the group may have given its partitions to another by now, of which it has not heard. */
  holds(): boolean
  /** Finds out now whether the group has changed, rather than when that is due. Absent: it never does. */
  heartbeat?(): void
}

/**
 * A plain description from which another thread opens the same log with `openLog`. Pass `transfer` along with it when it is
 * posted. Each description serves one thread.
 */
export interface SharedLog {
  readonly description: LogDescription
  readonly transfer: TransferListItem[]
}

export type LogDescription = { readonly kind: 'embedded' | 'kafka' } & Readonly<
  Record<string, unknown>
>

export interface AppendOptions {
  /** All records, over any partitions, or none. */
  readonly atomic?: boolean
  /** The caller bounds what it has on its way: it is never refused with OVERLOADED. */
  readonly isBounded?: boolean
}

/** What is known of a partition: a leader of this epoch, or a later one, has been. */
export interface KnownEpoch {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
}

export interface DescribeOptions {
  /** Who has not heard of it tells what was so before: he is believed only if there is nobody else. A log that always tells of the present does not look. */
  readonly knownEpoch?: KnownEpoch
  /**
   * Of these partitions alone the ends are asked for, those of the others are told as 0. Absent: of all. A log that asks a partition's
   * leader answers only when there is one.
   */
  readonly endsOf?: readonly number[]
}

export interface WriterOptions {
  /** Topics in which it will move positions. Absent: any. */
  readonly topics?: readonly string[]
  /** Called, by a log that can tell, before the positions are read: from then on nobody else writes. */
  readonly fenced?: () => void
  /** Aborted: nobody waits for it any more, and nothing further is asked for it. What it rejects with then is nobody's. */
  readonly signal?: AbortSignal
}

export interface RemoveOptions {
  readonly groups?: readonly string[]
  /** The topics that are meant: one of the same name and another id was made since, and stays. Absent: whatever has the name. */
  readonly ids?: readonly string[]
}

export interface Log extends AsyncDisposable {
  /** What is known of the topics; a name that does not exist is absent from the result. */
  describe(
    names: readonly string[],
    options?: DescribeOptions,
  ): Promise<ReadonlyMap<string, TopicInfo>>
  /** The id of the topic, as it was a second ago at most; undefined: there is none of this name. Cheaper than `describe`. */
  topicId(name: string): Promise<string | undefined>
  /**
   * The epoch that `leaderEpoch` names, or the nearest older one in which the log has records, and where it ended. A local position
   * above that end, in that epoch, was cut off.
   */
  endOfEpoch(
    partition: TopicPartition,
    leaderEpoch: number,
  ): Promise<{ leaderEpoch: number; end: number }>
  /** For each partition the position of the first record whose timestamp is at least `time`, or the stable end. */
  offsetAt(topic: string, time: number): Promise<readonly Position[]>
  /** Makes what is missing. A topic that exists with another kind or partition count: TOPIC_MISMATCH, and nothing is made. */
  ensure(specs: readonly TopicSpec[]): Promise<void>
  /**
   * Deletes topics with their records, and the positions of any group in them; and all positions of the groups that are named, which
   * nobody may be writing for. All of it at once: a crash leaves everything or nothing. Unknown names are ignored. Rejects with
   * GROUP_IN_USE, and nothing is removed, as long as such a group has members.
   */
  remove(names: readonly string[], options?: RemoveOptions): Promise<void>
  /** The group's committed positions, of all partitions. */
  committed(group: string): Promise<readonly Position[]>
  /**
   * Appends without a fence, for emitters; resolves when it is durable with the offset of each record, in order.
   * Rejects with OVERLOADED when too much waits already, unless `isBounded`; with RECORD_TOO_LARGE, UNKNOWN_TOPIC, LOG_CLOSED.
   */
  append(records: readonly RecordToAppend[], options?: AppendOptions): Promise<readonly number[]>
  reader(options?: ReaderOptions): LogReader
  /**
   * Fences every earlier writer of the same group and partition, then reads the positions. Rejects with FENCED when this host is no member
   * of the group any more.
   */
  openWriter(group: string, partition: number, options?: WriterOptions): Promise<LogWriter>
  join(options: JoinOptions): Promise<Membership>
  /** For a further thread of this process. */
  share(): SharedLog
}

/** The key of a partition in maps, as in `CommitOutcome.next`. */
export const partitionKey = (topic: string, partition: number): string => `${topic}/${partition}`

export const keyOf = ({ topic, partition }: TopicPartition): string =>
  partitionKey(topic, partition)
