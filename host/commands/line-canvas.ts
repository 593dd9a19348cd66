// Text and box-drawing lines on a grid of characters.

export const North = 1
export const East = 2
export const South = 4
export const West = 8

const pieces: Readonly<Record<number, string>> = {
  [East | West]: '─',
  [North | South]: '│',
  [East | South]: '┌',
  [West | South]: '┐',
  [North | East]: '└',
  [North | West]: '┘',
  [North | South | East]: '├',
  [North | South | West]: '┤',
  [East | South | West]: '┬',
  [North | East | West]: '┴',
  [North | East | South | West]: '┼',
  [East]: '─',
  [West]: '─',
  [North]: '│',
  [South]: '│',
}

interface Cell {
  text?: string
  /** Where lines leave a joint. */
  joint: number
  isCrossed: boolean
  isUpright: boolean
}

export class Canvas {
  readonly #cells = new Map<string, Cell>()
  #width = 0
  #height = 0

  write(column: number, row: number, text: string): void {
    ;[...text].forEach((character, index) => {
      this.#at(column + index, row).text = character
    })
  }

  /** A line from a column to the one before another. */
  across(from: number, to: number, row: number): void {
    for (let column = from; column < to; column++) this.#at(column, row).isCrossed = true
  }

  down(column: number, from: number, to: number): void {
    for (let row = from; row <= to; row++) this.#at(column, row).isUpright = true
  }

  join(column: number, row: number, direction: number): void {
    this.#at(column, row).joint |= direction
  }

  toString(): string {
    return Array.from({ length: this.#height }, (_, row) =>
      Array.from({ length: this.#width }, (__, column) =>
        shown(this.#cells.get(`${column} ${row}`)),
      )
        .join('')
        .trimEnd(),
    ).join('\n')
  }

  #at(column: number, row: number): Cell {
    const key = `${column} ${row}`
    let cell = this.#cells.get(key)
    if (cell === undefined) {
      cell = { joint: 0, isCrossed: false, isUpright: false }
      this.#cells.set(key, cell)
    }
    this.#width = Math.max(this.#width, column + 1)
    this.#height = Math.max(this.#height, row + 1)
    return cell
  }
}

function shown(cell: Cell | undefined): string {
  if (cell === undefined) return ' '
  if (cell.text !== undefined) return cell.text
  // A line that goes through a joint of others joins them: both lead to the same place.
  const joint = cell.joint | (cell.joint !== 0 && cell.isCrossed ? East | West : 0)
  if (joint !== 0) return pieces[joint] ?? '┼'
  // Lines that only cross don't touch: the upright one is in front.
  if (cell.isUpright) return '│'
  return cell.isCrossed ? '─' : ' '
}
