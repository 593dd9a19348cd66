// Functions that read each other's tables, on the embedded log.
import t from 'tap'
import { readEachOther } from '../support/joined.js'

t.test('joins and lookups', (t) => readEachOther(t))
