// The data: 20,000 real US flights of early 2001, and the airports' names, from the npm package vega-datasets.
import { readFile } from 'node:fs/promises'

export interface Flight {
  /** Local time of departure, `2001/01/01 00:47`. */
  readonly date: string
  readonly delay: number
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

const file = (name: string) => new URL(`../data/${name}`, import.meta.resolve('vega-datasets'))

export async function readFlights(): Promise<readonly Flight[]> {
  return JSON.parse(await readFile(file('flights-20k.json'), 'utf8'))
}

/** `Detroit Metropolitan-Wayne County` by `DTW`. */
export async function readAirportNames(): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(file('airports.csv'), 'utf8')).split('\n').slice(1)
  return new Map(
    lines.flatMap((line) => {
      // The name is the second field; one with a comma in it is quoted.
      const [, code, quoted, plain] = /^([^,]+),(?:"((?:[^"]|"")*)"|([^,]*))/.exec(line) ?? []
      const name = quoted?.replaceAll('""', '"') ?? plain
      return code === undefined || name === undefined ? [] : [[code, name] as const]
    }),
  )
}
