// Places as geohashes (base 32, longitude first): the longer, the finer, and the beginning of a name is the larger cell around it.

/** In degrees: towards the poles cells become too narrow. */
export const maxLatitude = 85

export interface Position {
  /** In degrees, up to `maxLatitude` north or south. */
  readonly lat: number
  /** In degrees, from -180 to 180. */
  readonly lon: number
}

const digits = '0123456789bcdefghjkmnpqrstuvwxyz'
/** In metres, of a sphere: distances are up to 0.5 % off those of the real earth. */
const earthRadius = 6_371_008.8

/** How many cells of a length lie side by side around the earth, and from pole to pole. */
function gridOf(length: number): { readonly columns: number; readonly rows: number } {
  return { columns: 2 ** Math.ceil((5 * length) / 2), rows: 2 ** Math.floor((5 * length) / 2) }
}

export function geohash({ lat, lon }: Position, length: number): string {
  const { columns, rows } = gridOf(length)
  return nameOf(columnOf(lon, columns) % columns, rowOf(lat, rows), length)
}

const columnOf = (lon: number, columns: number) => Math.floor(((lon + 180) / 360) * columns)
const rowOf = (lat: number, rows: number) => Math.floor(((lat + 90) / 180) * rows)

/** Bits of column and row in turn, five of them a digit, from the last to the first. */
function nameOf(column: number, row: number, length: number): string {
  const left = [column, row]
  let name = ''
  for (let digit = length - 1; digit >= 0; digit -= 1) {
    let value = 0
    for (let bit = 4; bit >= 0; bit -= 1) {
      const axis = (5 * digit + bit) % 2
      const rest = left[axis] ?? 0
      value += (rest % 2) * 2 ** (4 - bit)
      left[axis] = Math.floor(rest / 2)
    }
    name = digits.charAt(value) + name
  }
  return name
}

export function centreOf(name: string): Position {
  const { columns, rows } = gridOf(name.length)
  const found = [0, 0]
  for (let digit = 0; digit < name.length; digit += 1) {
    const value = digits.indexOf(name.charAt(digit))
    for (let bit = 0; bit < 5; bit += 1) {
      const axis = (5 * digit + bit) % 2
      found[axis] = 2 * (found[axis] ?? 0) + (Math.floor(value / 2 ** (4 - bit)) % 2)
    }
  }
  const [column = 0, row = 0] = found
  return { lat: ((row + 0.5) / rows) * 180 - 90, lon: ((column + 0.5) / columns) * 360 - 180 }
}

/** All cells of the length that a circle may touch, also across the date line. */
export function cellsAround({ lat, lon }: Position, metres: number, length: number): string[] {
  const { columns, rows } = gridOf(length)
  const angle = metres / earthRadius
  const north = degrees(angle)
  const east = degrees(Math.asin(Math.sin(angle) / Math.cos(radians(lat))))
  const names: string[] = []
  for (let row = rowOf(lat - north, rows); row <= rowOf(lat + north, rows); row += 1) {
    const last = columnOf(lon + east, columns)
    for (let column = columnOf(lon - east, columns); column <= last; column += 1) {
      names.push(nameOf((column + columns) % columns, row, length))
    }
  }
  return names
}

/** In metres. */
export function distance(one: Position, other: Position): number {
  const [lat, otherLat] = [radians(one.lat), radians(other.lat)]
  const half = (angle: number) => Math.sin(angle / 2) ** 2
  const across = half(radians(other.lon - one.lon)) * Math.cos(lat) * Math.cos(otherLat)
  return 2 * earthRadius * Math.asin(Math.sqrt(half(otherLat - lat) + across))
}

const radians = (angle: number) => (angle * Math.PI) / 180
const degrees = (angle: number) => (angle * 180) / Math.PI
