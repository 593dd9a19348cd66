// Records dev mode in a pseudo-terminal, a broken save and a mended one, and draws what it printed: docs/images/*.svg.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import './build.mjs'

const main = join(import.meta.dirname, '../dist/host/main.js')
const images = join(import.meta.dirname, '../docs/images')
const columns = 108
const home = await mkdtemp(join(tmpdir(), 'recording-'))
const root = join(home, 'app')
const file = join(root, 'functions/click-count.ts')

let screen = ''
const command = async (...args) => {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: args[0] === 'init' ? home : root,
    env: { ...process.env, NO_COLOR: '1' },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk
    })
  }
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(said)
  return said
}
const printed = async (expression) => {
  for (let waited = 0; ; waited += 50) {
    const found = expression.exec(stripVTControlCharacters(screen))
    if (found !== null) return found
    if (waited > 60_000) throw new Error(`not printed: ${expression}\n${screen}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
/** What has been printed since it was last asked, when nothing more has come for a moment. */
const scene = async () => {
  for (let before = ''; before !== screen; ) {
    before = screen
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  const text = screen
  screen = ''
  return text.replaceAll(root, '~/app')
}

await command('init', root)
const source = await readFile(file, 'utf8')
// As npm install has it.
await mkdir(join(root, 'node_modules/.bin'), { recursive: true })
await symlink(main, join(root, 'node_modules/.bin/millrace'))

// util-linux's script gives it a terminal.
const shell = `stty cols ${columns} && exec npm run dev`
const terminal = spawn('script', ['-qefc', shell, '/dev/null'], {
  cwd: root,
  env: { ...process.env, TERM: 'xterm-256color', FORCE_COLOR: '1', MILLRACE_HTTP_PORT: '7420' },
  stdio: ['pipe', 'pipe', 'inherit'],
})
terminal.stdout.on('data', (chunk) => {
  screen += chunk
})
try {
  const [url] = await printed(/http:\/\/[\d.:]+/)
  await printed(/\/views\/click-count/)
  const dev = await scene()
  /** What an emit and a get print, the second once it shows the first. */
  const emit = async () => {
    const said = await command('emit', 'clicks', 'alice', '{"page":"/home"}', '--url', url)
    const [, token] = /^token (.*)$/m.exec(said) ?? []
    const value = await command('get', 'click-count', 'alice', '--after', token, '--url', url)
    return [
      `$ npx millrace emit clicks alice '{"page":"/home"}'`,
      said.trimEnd(),
      '$ npx millrace get click-count alice',
      value.trimEnd(),
    ].join('\n')
  }
  await draw('dev', [
    ['$ npm run dev', dev],
    ['in another terminal', await emit()],
  ])

  await writeFile(file, source.replace('lastPage: click.page })', 'lastPage: click.page }'))
  await printed(/refused/)
  const broken = await scene()
  await draw('broken', [
    ['a broken save: the old version goes on', broken],
    ['in another terminal', await emit()],
  ])

  await writeFile(file, source.replace('+ 1', '+ 10'))
  await printed(/mended/)
  const mended = await scene()
  await draw('mended', [
    ['a mended save: the new version counts on', mended],
    ['in another terminal', await emit()],
  ])
} finally {
  terminal.stdin.write('\u0003')
  await once(terminal, 'close')
  await rm(home, { recursive: true, force: true })
}

async function draw(name, scenes) {
  const lines = scenes.flatMap(([title, text], index) => [
    ...(index === 0 ? [] : [[]]),
    [{ text: title, colour: title.startsWith('$') ? '#e6edf3' : '#8b949e' }],
    ...text
      .replaceAll('\r', '')
      .replace(/^\n+|\s+$/g, '')
      .split('\n')
      .flatMap((line) => wrapped(spans(line))),
  ])
  const [height, width] = [17, 7.83]
  const rows = lines.map((line, index) => {
    const parts = line.map(
      ({ text, colour, bold }) =>
        `<tspan fill="${colour ?? '#e6edf3'}"${bold ? ' font-weight="bold"' : ''}>${escaped(text)}</tspan>`,
    )
    return `<text x="16" y="${30 + index * height}" xml:space="preserve">${parts.join('')}</text>`
  })
  const [w, h] = [Math.ceil(columns * width + 32), 30 + lines.length * height]
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}">
<rect width="${w}" height="${h}" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
${rows.join('\n')}
</g>
</svg>
`
  await writeFile(join(images, `${name}.svg`), svg)
}

function spans(line) {
  const colours = {
    30: '#484f58',
    31: '#ff7b72',
    32: '#3fb950',
    33: '#d29922',
    34: '#58a6ff',
    35: '#bc8cff',
    36: '#39c5cf',
    37: '#b1bac4',
    90: '#8b949e',
  }
  let colour
  let bold = false
  const found = []
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is read
  for (const part of line.split(/(\u001b\[[\d;?]*[A-Za-z])/)) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const codes = /^\u001b\[([\d;]*)m$/.exec(part)?.[1]
    if (codes === undefined) {
      if (part !== '' && !part.startsWith('\u001b')) found.push({ text: part, colour, bold })
      continue
    }
    for (const code of codes.split(';').map(Number)) {
      if (code === 0) [colour, bold] = [undefined, false]
      else if (code === 1) bold = true
      else if (code === 22) bold = false
      else if (code === 39) colour = undefined
      else colour = colours[code] ?? colour
    }
  }
  return found
}

/** As a terminal of so many columns breaks it. */
function wrapped(line) {
  const rows = [[]]
  let room = columns
  for (const span of line) {
    let { text } = span
    while (text.length > room) {
      rows.at(-1).push({ ...span, text: text.slice(0, room) })
      rows.push([])
      text = text.slice(room)
      room = columns
    }
    rows.at(-1).push({ ...span, text })
    room -= text.length
  }
  return rows
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
