// Loaded by tap before each test file: the threads and processes that a test starts run as they ship. tap reads tests through
// loaders, which a thread or process would inherit: a host takes ten times as long to start with them, and is another one.
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { addListener } from 'process-on-spawn'

// In the variable they are quoted.
const isLoader = (option) =>
  /^"?--import=.*(@tapjs|support\/typescript)/.test(option) || option === '--enable-source-maps'
const withoutLoaders = ({ NODE_OPTIONS, ...env }) => {
  const kept = (NODE_OPTIONS ?? '')
    .split(' ')
    .filter((option) => option !== '' && !isLoader(option))
  return kept.length === 0 ? env : { ...env, NODE_OPTIONS: kept.join(' ') }
}

const threads = createRequire(import.meta.url)('node:worker_threads')
threads.Worker = class extends threads.Worker {
  constructor(entry, options = {}) {
    super(entry, {
      ...options,
      execArgv: options.execArgv ?? process.execArgv.filter((option) => !isLoader(option)),
      env: withoutLoaders(options.env ?? process.env),
    })
  }
}
syncBuiltinESMExports()

addListener((spawned) => {
  spawned.env = withoutLoaders(spawned.env)
})
