// Where instances ask each other for tables.

/** Where one is told to find out at once what has become of the function's group. */
export const heartbeatPath = (name: string): string =>
  `/cluster/functions/${encodeURIComponent(name)}/heartbeat`

/** Of a table, or of one of its keys, with what each of them may have in it. */
export function viewPath(table: string, key?: Buffer): string {
  const ofTable = `/cluster/views/${encodeURIComponent(table)}`
  return key === undefined ? ofTable : `${ofTable}/${encodeURIComponent(key.toString())}`
}
