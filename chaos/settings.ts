// What the hosts of a run are told: short times, so that what is waited for comes soon.
export const partitions = 12

export const times = {
  sessionTimeoutMs: 3_000,
  heartbeatIntervalMs: 200,
  rebalanceTimeoutMs: 4_000,
  transactionTimeoutMs: 4_000,
  connectionTimeoutMs: 1_000,
  requestTimeoutMs: 2_000,
  deliveryTimeoutMs: 4_000,
} as const

const kafkaVariables = {
  SESSION_TIMEOUT_MS: times.sessionTimeoutMs,
  HEARTBEAT_INTERVAL_MS: times.heartbeatIntervalMs,
  REBALANCE_TIMEOUT_MS: times.rebalanceTimeoutMs,
  TRANSACTION_TIMEOUT_MS: times.transactionTimeoutMs,
  CONNECTION_TIMEOUT_MS: times.connectionTimeoutMs,
  REQUEST_TIMEOUT_MS: times.requestTimeoutMs,
  DELIVERY_TIMEOUT_MS: times.deliveryTimeoutMs,
}

export function hostVariables(namespace: string, broker: string): Record<string, string> {
  return {
    MILLRACE_LOG_BROKERS: broker,
    MILLRACE_NAMESPACE: namespace,
    MILLRACE_CLUSTER_SECRET: 'a-secret-of-the-chaos',
    MILLRACE_LOG_PARTITIONS: String(partitions),
    MILLRACE_LIMITS_DRAIN_MS: '1000',
    MILLRACE_LOGGING_LEVEL: 'debug',
    MILLRACE_LOGGING_FORMAT: 'json',
    // In the host's log, with where.
    NODE_OPTIONS: '--trace-warnings',
    // A host that is killed on purpose is nobody's fault.
    MILLRACE_SUPERVISOR_MAX_CRASHES: '1000000',
    ...Object.fromEntries(
      Object.entries(kafkaVariables).map(([name, ms]) => [
        `MILLRACE_LOG_KAFKA_${name}`,
        String(ms),
      ]),
    ),
  }
}

/** Of a host on other than a loopback address: it wants tokens. */
export const guardedVariables = (host: string, token: string): Record<string, string> => ({
  MILLRACE_HTTP_HOST: host,
  MILLRACE_HTTP_TOKENS: JSON.stringify([
    { name: 'chaos', env: 'CHAOS_TOKEN', scopes: ['emit', 'read'] },
  ]),
  CHAOS_TOKEN: token,
})

/** For who looks from outside, as long as it takes. */
export const tailVariables = (namespace: string, broker: string): Record<string, string> => ({
  MILLRACE_LOG_BROKERS: broker,
  MILLRACE_NAMESPACE: namespace,
})
