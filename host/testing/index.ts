// What a test imports: `import { testHost } from 'millrace/testing'`.
export type {
  Definition,
  Definitions,
  Emitted,
  EmittedKey,
  FunctionName,
  Received,
  ReceivedKey,
  StreamName,
  TableKey,
  TableName,
  TableValue,
} from './edges.js'
export type { ForeignTable } from './foreign-tables.js'
export type { TestHostOptions } from './options.js'
export { testHost } from './running-host.js'
export type { FailedRecord, FunctionStatus, LogLine } from './status.js'
export { type StoreCheck, type StoreCheckOptions, storeChecks } from './store-checks.js'
export type { TestRecord, TestStream } from './stream.js'
export type { TableRange, TestTable } from './table.js'
export type { EmittedRecord, TestHost, VisitedKeys } from './test-host.js'
