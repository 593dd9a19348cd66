import t from 'tap'
import { proveByScram } from '#host/log/kafka/sasl.js'

// The example of RFC 7677.
const user = { hash: 'sha256', username: 'user', password: 'pencil' } as const
const nonce = 'rOprNGfwEbeRWgbNEkqO'
const first = `r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const proof = 'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
const shown = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

/** A broker that has these answers, one after the other; what it was told. */
function broker(...answers: string[]) {
  const told: string[] = []
  const say = async (message: string) => {
    told.push(message)
    return answers.shift() ?? ''
  }
  return { told, say }
}

t.test('what is sent is what the standard has', async (t) => {
  const { told, say } = broker(first, shown)
  t.equal(await proveByScram({ ...user, nonce }, say), undefined)
  t.strictSame(told, [
    `n,,n=user,r=${nonce}`,
    `c=biws,r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,${proof}`,
  ])
})

t.test('a name may have what separates names from values', async (t) => {
  const { told, say } = broker()
  await proveByScram({ ...user, username: 'a=b,c', nonce }, say)
  t.strictSame(told, [`n,,n=a=3Db=2Cc,r=${nonce}`])
})

t.test('each time something else is proven', async (t) => {
  const [one, two] = [broker(), broker()]
  await proveByScram(user, one.say)
  await proveByScram(user, two.say)
  t.match(one.told, [/^n,,n=user,r=.{32}$/])
  t.notSame(one.told, two.told)
})

t.test('a broker that does not know the password is not trusted', async (t) => {
  for (const answer of ['', 'v=', 'v=AAAA', shown.replace('6rri', '7rri')]) {
    const { say } = broker(first, answer)
    t.match(await proveByScram({ ...user, nonce }, say), /cannot prove that it knows the password/)
  }
  const { say } = broker(first, 'e=invalid-proof')
  t.equal(await proveByScram({ ...user, nonce }, say), 'invalid-proof')
})

t.test('a broker that would have the password guessed gets no proof', async (t) => {
  const cases: [answer: string, reason: RegExp][] = [
    ['', /does not answer/],
    [first.replace(nonce, 'another'), /does not answer/],
    [`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, /does not answer/],
    [first.replace('i=4096', 'i=4095'), /4095 iterations, fewer than 4096/],
    [first.replace('i=4096', 'i=many'), /many iterations/],
    [first.replace(',i=4096', ''), /iterations/],
  ]
  for (const [answer, reason] of cases) {
    const { told, say } = broker(answer, shown)
    t.match(await proveByScram({ ...user, nonce }, say), reason)
    t.equal(told.length, 1)
  }
})
