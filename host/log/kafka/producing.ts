// Brings the batches of a transaction to the leaders of their partitions, each partition's in order.
import { keyOf } from '../log.js'
import type { Brokers } from './brokers.js'
import type { Deadline } from './deadline.js'
import type { EncodedBatch } from './encoding.js'
import { isMoved, kafkaErrors } from './error-codes.js'
import type { Lane } from './lane.js'
import { brokerUnavailable, refused } from './problems.js'
import { type Produced, produce } from './requests/produce.js'
import {
  asError,
  isFence,
  isSequenceError,
  isTooLarge,
  isUnavailable,
  isWorthRepeating,
  refusedBatch,
  type Trouble,
  tooLargeForTopic,
} from './trouble.js'
import { answerMs } from './write-settings.js'

/** A broker knows as many of a producer's last batches again. */
export const maxInFlight = 5

export interface Producing {
  readonly brokers: Brokers
  readonly transactionalId: string
  readonly requestTimeoutMs: number
  /** The topic takes no batch of so many bytes. */
  readonly tooLarge: (topic: string, bytes: number) => void
}

interface Attempted {
  readonly lane: Lane
  readonly batch: EncodedBatch
  readonly index: number
}

/** Undefined: all are acknowledged. What is passing is tried again, in order, with the same bytes. */
export async function produceAll(
  { brokers, transactionalId, requestTimeoutMs, tooLarge }: Producing,
  lanes: readonly Lane[],
  deadline: Deadline,
): Promise<Trouble | undefined> {
  const send = async (node: number, attempted: readonly Attempted[]): Promise<Step> => {
    const batches = attempted.map(({ lane: { topic, partition }, batch }) => ({
      topic,
      partition,
      batch: batch.bytes,
    }))
    const options = { transactionalId, timeoutMs: requestTimeoutMs }
    try {
      const limitMs = requestTimeoutMs + answerMs
      const request = produce(options, batches)
      const { partitions } = await brokers.askWithin(node, request, deadline.leftMs, limitMs)
      return judge(attempted, partitions)
    } catch (thrown) {
      // What was sent may still arrive: the epoch has to change before anything else is sent.
      return { kind: 'failed', cause: asError(thrown) }
    }
  }

  /** The last of what is tried again. */
  let refusal: Error | undefined

  const judge = (attempted: readonly Attempted[], answers: readonly Produced[]): Step => {
    const byLane = new Map(answers.map((one) => [keyOf(one), one]))
    let step: Step = 'acknowledged'
    for (const one of attempted) {
      const found = judgeOne(one, byLane.get(one.lane.key))
      if (rank(found) > rank(step)) step = found
    }
    return step
  }

  const judgeOne = ({ lane, batch, index }: Attempted, answer: Produced | undefined): Step => {
    if (answer === undefined) {
      const cause = brokerUnavailable(new Error(`nothing was answered for ${lane.key}`))
      return { kind: 'failed', cause }
    }
    const { error, offset, message } = answer
    if (error === kafkaErrors.NONE) {
      if (index < lane.acknowledged) return 'acknowledged'
      if (index > lane.acknowledged) {
        const cause = brokerUnavailable(new Error(`${lane.key} has taken a batch before its turn`))
        return { kind: 'failed', cause }
      }
      lane.bases.push(offset)
      lane.isProven = true
      return 'acknowledged'
    }
    // Behind one that was refused: it comes again after that.
    if (isSequenceError(error) && index > lane.acknowledged) return 'again'
    if (isFence(error)) return { kind: 'fenced', cause: refused(error, lane.key) }
    if (isTooLarge(error)) {
      if (batch.count === 1) {
        return { kind: 'failed', cause: tooLargeForTopic(lane, batch.bytes.length) }
      }
      tooLarge(lane.topic, batch.bytes.length)
      return { kind: 'undone' }
    }
    if (isMoved(error)) brokers.forgetTopic(lane.topic)
    if (isWorthRepeating(error)) {
      refusal = refused(error, lane.key)
      return 'again'
    }
    if (isSequenceError(error) || endsTransaction.includes(error)) {
      return { kind: 'failed', cause: brokerUnavailable(refused(error, lane.key)) }
    }
    return { kind: 'failed', cause: refusedBatch(brokers, lane, error, message) }
  }

  /** One broker's, up to five requests at once, a batch of each partition in each. */
  const sendTo = async (node: number, own: readonly Lane[]): Promise<Step> => {
    let step: Step = 'acknowledged'
    const inFlight = new Set<Promise<void>>()
    const starts = own.map(({ acknowledged }) => acknowledged)
    const isOver = (): boolean => step !== 'acknowledged'
    for (let round = 0; !isOver(); round++) {
      const attempted = own.flatMap((lane, i) => {
        const index = (starts[i] ?? 0) + round
        const batch = lane.batches[index]
        return batch === undefined ? [] : [{ lane, batch, index }]
      })
      if (attempted.length === 0) break
      const isProven = attempted.every(({ lane }) => lane.isProven)
      const sending: Promise<void> = send(node, attempted).then((found) => {
        inFlight.delete(sending)
        if (rank(found) > rank(step)) step = found
      })
      inFlight.add(sending)
      if (!isProven) await sending
      else if (inFlight.size >= maxInFlight) await Promise.race(inFlight)
    }
    await Promise.all(inFlight)
    return step
  }

  for (;;) {
    const left = lanes.filter(({ isDone }) => !isDone)
    if (left.length === 0) return undefined
    try {
      const byNode = await deadline.bound(byLeader(brokers, left))
      const steps = await Promise.all([...byNode].map(([node, own]) => sendTo(node, own)))
      const worst = steps.reduce((a, b) => (rank(b) > rank(a) ? b : a), 'acknowledged')
      if (typeof worst !== 'string') return worst
      if (worst === 'again') await deadline.pause()
    } catch (thrown) {
      if (!isUnavailable(thrown)) return { kind: 'failed', cause: asError(thrown) }
      await deadline.pause()
    }
    if (deadline.isOver) {
      const late = new Error('not all that was produced was acknowledged in time')
      return { kind: 'failed', cause: refusal ?? brokerUnavailable(late) }
    }
  }
}

const endsTransaction: readonly number[] = [
  kafkaErrors.INVALID_TXN_STATE,
  kafkaErrors.INVALID_PRODUCER_ID_MAPPING,
]

/** `again`: from the first batch on that is not acknowledged. */
type Step = 'acknowledged' | 'again' | Trouble

/** The worst counts. */
function rank(step: Step): number {
  if (step === 'acknowledged') return 0
  if (step === 'again') return 1
  switch (step.kind) {
    case 'undone':
      return 2
    case 'failed':
      return 3
    case 'unknown':
      return 4
    case 'undecided':
      return 5
    case 'expelled':
      return 6
    case 'fenced':
      return 7
  }
}

/** Epochs are noted first: one that is told too high would hide that the log was cut, one too low rebuilds a table. */
async function byLeader(brokers: Brokers, lanes: readonly Lane[]): Promise<Map<number, Lane[]>> {
  for (const lane of lanes) lane.leaderEpoch = (await brokers.leader(lane)).leaderEpoch
  return await brokers.byLeader(lanes)
}
