// The test kit's defaults are those of a host without a configuration.
import t from 'tap'
import { loadConfig } from '#host/config.js'
import { settingsOf } from '#host/testing/options.js'
import { testFolder } from '../../support/folder.js'

t.test('without options a test runs as a host without a configuration', (t) => {
  const { flush, cache, log, namespace } = loadConfig({ root: testFolder(t) })
  t.match(settingsOf({}), {
    flush,
    cacheBytes: cache.maxBytes,
    partitions: log.partitions,
    maxRecordBytes: log.maxRecordBytes,
    namespace,
  })
  t.same(settingsOf({ flush: { intervalMs: 5 } }).flush, { ...flush, intervalMs: 5 })
  t.end()
})
