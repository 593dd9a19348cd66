// The version of the package that runs.
import { readFileSync } from 'node:fs'

export function version(): string {
  // From dist/host/commands/ as well as from the installed package it is three folders up.
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  const isPackage = typeof parsed === 'object' && parsed !== null && 'version' in parsed
  return isPackage ? String(parsed.version) : 'unknown'
}
