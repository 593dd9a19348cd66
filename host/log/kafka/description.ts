// What another thread of the process needs to open the same log.
import { MessagePort } from 'node:worker_threads'
import type { LogDescription } from '../log.js'
import type { KafkaSettings } from './settings.js'

export interface KafkaDescription {
  readonly settings: KafkaSettings
  readonly port: MessagePort
}

export const describeKafka = (settings: KafkaSettings, port: MessagePort): LogDescription => ({
  kind: 'kafka',
  settings,
  port,
})

export function readKafkaDescription(description: LogDescription): KafkaDescription {
  const { settings, port } = description
  if (!isSettings(settings) || !(port instanceof MessagePort)) {
    throw new TypeError('this describes no Kafka log: pass what share() returned, once')
  }
  return { settings, port }
}

const isSettings = (settings: unknown): settings is KafkaSettings =>
  typeof settings === 'object' && settings !== null && 'brokers' in settings
