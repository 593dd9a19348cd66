// Sets how long streams that are there already are kept.
import { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { setTopicSetting } from './requests/alter-configs.js'
import { right } from './rights.js'
import { connectionTo, type KafkaSettings } from './settings.js'

/** −1: for ever. Rejects with BROKER_REFUSED when this client may not, BROKER_UNAVAILABLE. */
export async function keepStreams(
  settings: KafkaSettings,
  streams: readonly { readonly name: string; readonly retentionMs: number }[],
): Promise<void> {
  await using brokers = new Brokers(connectionTo(settings), settings)
  const wanted = streams.map(({ name, retentionMs }) => ({ name, value: String(retentionMs) }))
  await brokers.patiently(async () => {
    const { topics } = await brokers.askAny(setTopicSetting('retention.ms', wanted))
    for (const { topic, error, message } of topics) {
      if (error === kafkaErrors.NONE) continue
      const needed = [right.topic('AlterConfigs', topic)]
      throw brokers.refused(error, `to set how long ${topic} is kept`, needed, { message })
    }
  })
}
