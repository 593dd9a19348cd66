// Who is in a group, as its coordinator has it.
import { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { describeGroup } from './requests/groups.js'
import { right } from './rights.js'
import { connectionTo, type KafkaSettings } from './settings.js'

/** Of each group, as `client at address`. Rejects with BROKER_REFUSED when this client may not know, BROKER_UNAVAILABLE. */
export async function membersOfGroups(
  settings: KafkaSettings,
  groups: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  await using brokers = new Brokers(connectionTo(settings), settings)
  const found = new Map<string, readonly string[]>()
  for (const group of groups) {
    const { error, members } = await brokers.askCoordinator('group', group, describeGroup(group))
    if (error !== kafkaErrors.NONE) {
      throw brokers.refused(error, `the members of ${group}`, [right.group('Read', group)])
    }
    found.set(
      group,
      members.map(({ client, address }) => `${client} at ${address.replace(/^\//, '')}`),
    )
  }
  return found
}
