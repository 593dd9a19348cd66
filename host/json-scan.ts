// Reads JSON text without making values of it: where it breaks the rules, and where a member's value lies.

export interface JsonFault {
  /** In UTF-16 units from 0. */
  readonly position: number
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly message: string
}

const space = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const literal = /true|false|null/y

class Fault extends Error {
  readonly position: number
  constructor(position: number, message: string) {
    super(message)
    this.position = position
  }
}

/** The first fault of the text; undefined: it is one JSON value. V8 often names no position, and none the line. */
export function findJsonFault(text: string): JsonFault | undefined {
  try {
    const end = skip(space, text, skipValue(text, skip(space, text, 0)))
    if (end < text.length) throw new Fault(end, `${shown(text, end)} after the end of the value`)
    return undefined
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const before = text.slice(0, error.position)
    return {
      position: error.position,
      line: before.split('\n').length,
      column: error.position - before.lastIndexOf('\n'),
      message: error.message,
    }
  }
}

/** The text of a member of the outermost object, of the last one if it is there twice, as JSON.parse does. */
export function memberText(text: string, name: string): string | undefined {
  let at = skip(space, text, 0)
  if (text[at] !== '{') return undefined
  let found: string | undefined
  at = skip(space, text, at + 1)
  while (text[at] === '"') {
    const keyEnd = skipString(text, at)
    const key: unknown = JSON.parse(text.slice(at, keyEnd))
    const start = skip(space, text, skip(space, text, keyEnd) + 1)
    const end = skipValue(text, start)
    if (key === name) found = text.slice(start, end)
    at = skip(space, text, end)
    if (text[at] === ',') at = skip(space, text, at + 1)
  }
  return found
}

/** Returns where the value ends. Keeps its own stack: depth must not end in a stack overflow. */
function skipValue(text: string, start: number): number {
  const open: string[] = []
  let at = start
  while (true) {
    const opening = text[at]
    if (opening === '{' || opening === '[') {
      const inside = skip(space, text, at + 1)
      const closing = opening === '{' ? '}' : ']'
      if (text[inside] !== closing) {
        open.push(closing)
        at = opening === '{' ? skipKey(text, inside, '"}"') : inside
        continue
      }
      at = inside + 1
    } else {
      at = skipScalar(text, at)
    }
    while (true) {
      const closing = open.at(-1)
      if (closing === undefined) return at
      at = skip(space, text, at)
      if (text[at] === ',') {
        at = skip(space, text, at + 1)
        if (closing === '}') at = skipKey(text, at)
        break
      }
      if (text[at] !== closing) {
        throw new Fault(at, `${shown(text, at)} where "," or "${closing}" belongs`)
      }
      open.pop()
      at++
    }
  }
}

function skipKey(text: string, start: number, or?: string): number {
  if (text[start] !== '"') {
    const wanted = or === undefined ? 'a name in double quotes' : `a name in double quotes or ${or}`
    throw new Fault(start, `${shown(text, start)} where ${wanted} belongs`)
  }
  const colon = skip(space, text, skipString(text, start))
  if (text[colon] !== ':') throw new Fault(colon, `${shown(text, colon)} where ":" belongs`)
  return skip(space, text, colon + 1)
}

function skipScalar(text: string, start: number): number {
  const first = text[start] ?? ''
  if (first === '"') return skipString(text, start)
  const end = skip(first === '-' || (first >= '0' && first <= '9') ? number : literal, text, start)
  if (end === start) throw new Fault(start, `${shown(text, start)} where a value belongs`)
  return end
}

function skipString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return at + 1
    if (code < 0x20) {
      throw new Fault(at, 'a control character in a string: write it as an escape, like \\n')
    }
    if (code === 0x5c) {
      if (!/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) {
        throw new Fault(at, `${JSON.stringify(text.slice(at, at + 2))} is no escape of JSON`)
      }
      at++
    }
  }
  throw new Fault(text.length, 'the text ends within a string')
}

function skip(pattern: RegExp, text: string, at: number): number {
  const sticky = new RegExp(pattern)
  sticky.lastIndex = at
  return sticky.test(text) ? sticky.lastIndex : at
}

function shown(text: string, at: number): string {
  return at >= text.length
    ? 'the text ends'
    : JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))
}
