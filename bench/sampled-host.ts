// A host in a process of its own whose threads can be looked into; the folder is the argument, the address goes to the parent.
import { loadConfig } from '../host/config.js'
import { startHost } from '../host/host.js'
import { createLogger } from '../host/logger.js'

const [, , root = process.cwd()] = process.argv
const config = loadConfig({ root, env: { MILLRACE_HTTP_PORT: '0' } })
const logger = createLogger({ level: 'warn', format: 'json', stream: process.stdout })
const host = await startHost({ config, watch: true, logger })
process.once('SIGTERM', () => {
  void host[Symbol.asyncDispose]().then(() => process.connected && process.disconnect())
})
process.send?.(host.url)
