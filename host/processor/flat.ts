// A JSON object without objects in it, kept as a copy: what a counter's state is, at a fraction of what its text costs.

type Primitive = string | number | boolean | null
type Fields = Record<string, Primitive>

// About what a number or a literal takes as text.
const scalarBytes = 8
// Objects with many fields become dictionaries, whose copies cost more than text.
const maxFields = 32

export class Flat {
  readonly #fields: Readonly<Fields>
  /** In characters of text, roughly: for bounds on memory. */
  readonly length: number

  private constructor(fields: Readonly<Fields>, length: number) {
    this.#fields = fields
    this.length = length
  }

  /** Undefined unless a copy of the fields is, in every respect, what JSON would give back. */
  static of(value: unknown): Flat | undefined {
    if (typeof value !== 'object' || value === null) return undefined
    if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
    const fields: Fields = {}
    let length = 2
    let count = 0
    for (const name in value) {
      const field: unknown = (value as Record<string, unknown>)[name]
      count += 1
      // Assigned, `__proto__` would be no field; an inherited field would be none in JSON.
      if (count > maxFields || name === '__proto__' || !Object.hasOwn(value, name)) return undefined
      if (typeof field === 'string') length += field.length
      else if (typeof field === 'number') {
        // NaN and the infinities become null in JSON, and -0 becomes 0.
        if (!Number.isFinite(field) || Object.is(field, -0)) return undefined
        length += scalarBytes
      } else if (typeof field === 'boolean' || field === null) length += scalarBytes
      else return undefined
      fields[name] = field
      length += name.length + 4
    }
    return new Flat(fields, length)
  }

  copy(): Fields {
    return { ...this.#fields }
  }

  toText(): string {
    return JSON.stringify(this.#fields)
  }
}
