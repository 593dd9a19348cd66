// Prints who is near: `node dist/examples/systems/match-search/near.js --lat 52.52 --lon 13.405 --radius 300`.
import { parseArgs } from 'node:util'
import { type Gender, genders } from './people.js'
import { cellsOf, search } from './search.js'

const { values } = parseArgs({
  options: {
    lat: { type: 'string', default: '52.52' },
    lon: { type: 'string', default: '13.405' },
    radius: { type: 'string', default: '1000' },
    'min-age': { type: 'string', default: '18' },
    'max-age': { type: 'string', default: '120' },
    gender: { type: 'string', multiple: true, default: [...genders] },
    url: { type: 'string', default: process.env.MILLRACE_URL ?? 'http://127.0.0.1:7420' },
  },
})

const isGender = (value: string): value is Gender => genders.some((each) => each === value)

const found = await search(cellsOf(values.url), {
  lat: Number(values.lat),
  lon: Number(values.lon),
  radius: Number(values.radius),
  minAge: Number(values['min-age']),
  maxAge: Number(values['max-age']),
  genders: values.gender.filter(isGender),
  now: Date.now(),
})
for (const { user, age, gender, distance } of found) {
  console.log(`${Math.round(distance)} m  ${user}  ${age} ${gender}`)
}
