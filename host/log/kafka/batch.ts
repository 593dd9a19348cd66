// The layout of a record batch, version 2: what lies in front of its records.

export const BASE_OFFSET = 0
/** Of what follows it. */
export const LENGTH = 8
export const LEADER_EPOCH = 12
export const MAGIC = 16
/** Of everything behind it. */
export const CHECK = 17
export const ATTRIBUTES = 21
export const LAST_OFFSET_DELTA = 23
export const BASE_TIMESTAMP = 27
export const MAX_TIMESTAMP = 35
export const PRODUCER_ID = 43
export const PRODUCER_EPOCH = 51
export const BASE_SEQUENCE = 53
export const COUNT = 57
export const BATCH_HEAD_BYTES = 61

/** Base offset and length are in front of what the length counts, in every version of the format. */
export const PREFIX_BYTES = 12
/** The version is at the same place in all of them; so much has to be there to see it. */
export const MAGIC_END = 17

export const VERSION = 2

export const COMPRESSION_MASK = 0x07
export const LOG_APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
export const CONTROL = 0x20

/** Kinds of control records. */
export const ABORT = 0
