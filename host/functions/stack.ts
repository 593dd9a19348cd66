// Stacks as their author sees them: user frames only, in the files that were written, with a code frame.
import { isAbsolute, resolve, sep } from 'node:path'
import { codeFrameColumns } from '@babel/code-frame'
import { originalPositionFor, sourceContentFor, TraceMap } from '@jridgewell/trace-mapping'
import type { Bundle } from './description.js'

export type MappableBundle = Pick<Bundle, 'version' | 'map'>

export interface MappedStack {
  /** The message, then the user's frames as `at handler (/abs/file.ts:3:7)`. */
  readonly stack: string
  /** Of the topmost frame in a file of the user's own; if there is none, of the topmost in a dependency. */
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly frame?: string
}

interface Place {
  readonly file: string
  /** Both from 1. */
  readonly line: number
  readonly column: number
  readonly source: string | null
}

const virtualFrame = /^(\s*at (?:.*\()?)millrace:\/\/[^@\s]+@([0-9a-f]+)\.js:(\d+):(\d+)(\)?)$/

/**
 * Cuts a stack to the user's frames and puts them back into the source files. Frames of npm packages that were bundled stay.
 * A frame of a version that is not known any more stays as it is.
 */
export function mapStack(
  stack: string,
  bundles: MappableBundle | ((version: string) => MappableBundle | undefined),
): MappedStack {
  const bundleOf = typeof bundles === 'function' ? bundles : () => bundles
  const maps = new Map<string, TraceMap | undefined>()
  const mapOf = (version: string): TraceMap | undefined => {
    if (!maps.has(version)) {
      const bundle = bundleOf(version)
      maps.set(version, bundle?.version === version ? new TraceMap(bundle.map) : undefined)
    }
    return maps.get(version)
  }

  const lines: string[] = []
  const places: Place[] = []
  for (const line of stack.split('\n')) {
    const [, before, version, row, column, after] = virtualFrame.exec(line) ?? []
    if (before === undefined || version === undefined) {
      // What is no frame belongs to the message; every other frame is the host's or Node's.
      if (!/^\s+at /.test(line)) lines.push(line)
      continue
    }
    const map = mapOf(version)
    if (map === undefined) {
      lines.push(line)
      continue
    }
    const place = placeOf(map, Number(row), Number(column))
    if (place === undefined) continue
    places.push(place)
    lines.push(`${before}${place.file}:${place.line}:${place.column}${after}`)
  }

  const top = places.find(({ file }) => !isDependency(file)) ?? places[0]
  if (top === undefined) return { stack: lines.join('\n') }
  const { file, line, column, source } = top
  const frame = source === null ? {} : { frame: codeFrame(source, line, column) }
  return { stack: lines.join('\n'), file, line, column, ...frame }
}

/** The lines around a place, with a mark under it. Line and column count from 1. */
export function codeFrame(source: string, line: number, column: number): string {
  return codeFrameColumns(source, { start: { line, column } }, { highlightCode: false })
}

/** The text of a source file as it was when it was bundled. */
export function sourceOf(bundle: Pick<Bundle, 'map'>, file: string): string | undefined {
  const map = new TraceMap(bundle.map)
  const source = map.sources.find((candidate) => absolute(map, candidate ?? '') === file)
  return source ? (sourceContentFor(map, source) ?? undefined) : undefined
}

function placeOf(map: TraceMap, line: number, column: number): Place | undefined {
  const found = originalPositionFor(map, { line, column: Math.max(0, column - 1) })
  if (found.source === null) return undefined
  return {
    file: absolute(map, found.source),
    line: found.line,
    column: found.column + 1,
    source: sourceContentFor(map, found.source),
  }
}

// esbuild writes paths percent-encoded. Not trace-mapping's resolved names: those are URLs, in which a `#` is no letter.
function absolute(map: TraceMap, source: string): string {
  const path = decodeURIComponent(source)
  return isAbsolute(path) ? path : resolve(map.sourceRoot ?? '/', path)
}

const isDependency = (file: string): boolean => file.includes(`${sep}node_modules${sep}`)
