// Made-up texts, and what is done to them so that they look different.

const words =
  'a b c the my your our this that late early new old red blue train house garden dinner coffee match game film song holiday office meeting doctor school ' +
  'dog cat bike weather rain sun ticket key phone book letter photo idea question answer week month summer winter morning evening please thanks maybe really never always'
const vocabulary = words.split(' ')
const short = ['ok', 'thanks!', 'on my way', 'lol', 'see you', 'yes', 'no idea', 'good night']

type Random = () => number

const pick = <Item>(random: Random, items: readonly Item[], otherwise: Item): Item =>
  items[Math.floor(items.length * random())] ?? otherwise

/** A quarter are said by everybody; the others nobody has said before. */
export function chat(random: Random): string {
  return random() < 0.25 ? pick(random, short, 'ok') : sentence(random)
}

export function sentence(random: Random): string {
  const length = 6 + Math.floor(7 * random())
  return Array.from({ length }, () => pick(random, vocabulary, 'the')).join(' ')
}

const accents: Readonly<Record<string, string>> = { a: 'á', e: 'é', i: 'ï', o: 'ö', u: 'ü' }

/** Digits, signs, capitals, accents, wide letters, and what has no width: the same text to whoever reads it. */
export function disguised(random: Random, text: string): string {
  const letters = [...text].map((letter) => {
    const dice = random()
    if (dice < 0.05) return letter.toUpperCase()
    if (dice < 0.1) return accents[letter] ?? letter
    if (dice < 0.12 && /[a-z]/.test(letter)) {
      return String.fromCodePoint(0xff41 - 97 + (letter.codePointAt(0) ?? 97))
    }
    if (dice < 0.14) return `${letter}\u200b`
    if (dice < 0.18) return `${letter}${pick(random, ['.', '!', '*', '_', ' '], ' ')}`
    return letter
  })
  return `${letters.join('')} ${Math.floor(10_000 * random())}`
}
