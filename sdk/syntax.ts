// Where JSON text is broken: Node's own messages often leave the position out.

/**
 * Text that is no JSON; `position` counts from 0, `line` and `column` from 1, all in UTF-16 units.
 *
 * @example
 * try {
 *   json().decodeText('{"page":}')
 * } catch (error) {
 *   if (error instanceof JsonSyntaxError) console.log(error.position) // 8
 * }
 */
export class JsonSyntaxError extends SyntaxError {
  override readonly name = 'JsonSyntaxError'
  readonly position: number
  readonly line: number
  readonly column: number

  constructor(text: string) {
    const position = brokenAt(text)
    const before = text.slice(0, position).split('\n')
    const line = before.length
    const column = (before.at(-1)?.length ?? 0) + 1
    const found = text.codePointAt(position)
    const what =
      found === undefined
        ? 'unexpected end'
        : `unexpected ${JSON.stringify(String.fromCodePoint(found))}`
    super(`no JSON: ${what} at position ${position} (line ${line}, column ${column})`)
    this.position = position
    this.line = line
    this.column = column
  }
}

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma' | 'end'

/** The index of the first character that cannot stand where it stands; the length if the text ends too early. */
function brokenAt(text: string): number {
  const space = /[ \t\n\r]*/y
  const open: ('[' | '{')[] = []
  let expected: Expected = 'value'
  let at = 0
  const close = (): Expected => {
    open.pop()
    return open.length === 0 ? 'end' : 'comma'
  }
  for (;;) {
    space.lastIndex = at
    space.test(text)
    at = space.lastIndex
    const found = text[at]
    if (found === undefined || expected === 'end') return at
    const inside = open.at(-1)
    if (expected === 'colon') {
      if (found !== ':') return at
      expected = 'value'
      at++
    } else if (expected === 'comma') {
      if (found === ',') expected = inside === '{' ? 'key' : 'value'
      else if (found === (inside === '{' ? '}' : ']')) expected = close()
      else return at
      at++
    } else if (found === ']' && expected === 'value or ]') {
      expected = close()
      at++
    } else if (found === '}' && expected === 'key or }') {
      expected = close()
      at++
    } else if (expected === 'key' || expected === 'key or }') {
      if (found !== '"') return at
      const string = stringEnd(text, at)
      if (!string.isWhole) return string.at
      at = string.at
      expected = 'colon'
    } else if (found === '{' || found === '[') {
      open.push(found)
      expected = found === '{' ? 'key or }' : 'value or ]'
      at++
    } else {
      const scalar = found === '"' ? stringEnd(text, at) : wordEnd(text, at)
      if (!scalar.isWhole) return scalar.at
      at = scalar.at
      expected = open.length === 0 ? 'end' : 'comma'
    }
  }
}

interface End {
  readonly isWhole: boolean
  readonly at: number
}

function stringEnd(text: string, start: number): End {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x22) return { isWhole: true, at: at + 1 }
    if (unit < 0x20) return { isWhole: false, at }
    if (unit !== 0x5c) continue
    at++
    if (text[at] !== 'u') {
      if (at < text.length && !'"\\/bfnrt'.includes(text.charAt(at))) return { isWhole: false, at }
      continue
    }
    for (let digit = 0; digit < 4; digit++) {
      at++
      if (at < text.length && !/[0-9a-fA-F]/.test(text.charAt(at))) return { isWhole: false, at }
    }
  }
  return { isWhole: false, at: text.length }
}

function wordEnd(text: string, start: number): End {
  for (const word of ['true', 'false', 'null']) {
    if (text[start] !== word[0]) continue
    for (let n = 1; n < word.length; n++) {
      if (text[start + n] !== word[n]) return { isWhole: false, at: start + n }
    }
    return { isWhole: true, at: start + word.length }
  }
  const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
  number.lastIndex = start
  if (number.test(text)) {
    // `1.` and `1e+` match only up to the whole part: what follows is what is wrong.
    const rest = /(?:\.|[eE][+-]?)/y
    rest.lastIndex = number.lastIndex
    if (!rest.test(text)) return { isWhole: true, at: number.lastIndex }
    return { isWhole: false, at: rest.lastIndex }
  }
  return { isWhole: false, at: text[start] === '-' ? start + 1 : start }
}
